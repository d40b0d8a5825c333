"""Exact rows: targets that a decoder computes from the inputs alone, cached by the hash of the data and of the decoder.

A call that is killed is gone on with: each SERIES series are decoded into a file of their own until all are.

Nothing is fitted and no target is read, so that training series can be decoded for the out-of-fold score too. Only the
ventilator competition has a decoder.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from foldline.core import artefacts, files, locks
from foldline.core.chunks import chunks
from foldline.core.errors import UserError
from foldline.data.table import Table

if TYPE_CHECKING:
    from ventilator.decoder.file_decoding import Decoder

SERIES = 2000  # that are decoded between two files: some 10 s


@dataclass(frozen=True)
class Exact:
    """The decoded rows of a table."""

    values: np.ndarray  # (rows,) float64, the target; NaN where it is not decoded
    kinds: np.ndarray  # (rows,) text, the decoder's name for how it was found; empty where it was not
    doubt: str = ""  # why fewer rows are decoded than could be: digits lost before the file was written

    @property
    def known(self) -> np.ndarray:
        """Rows that are decoded, (rows,) bool."""
        known: np.ndarray = ~np.isnan(self.values)
        return known

    def counts(self, scored: np.ndarray) -> dict[str, int]:
        """Count the scored rows of each kind, most first. scored: (rows,) bool."""
        kinds, counts = np.unique(self.kinds[scored & self.known], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {str(kinds[place]): int(counts[place]) for place in order}


def obtain(
    table: Table,
    on_progress: Callable[[int, int], None] | None = None,
    wanted_by: str = "post.decode = true",
    decoder: Decoder | None = None,
) -> Exact:
    """Decode a table, or read what an earlier call decoded.

    Args:
        on_progress: called with (series done, series in all).
        wanted_by: the part of the config that needs exact rows, for messages.
        decoder: decodes the rows of parts; None: this process does.

    Raises:
        UserError: the table is not of the competition's shape.
    """
    path = path_of(table)
    if why := damage(path):
        if path.exists():
            artefacts.say(path, why, "its rows are decoded again")
        _write(path, table, on_progress, wanted_by, decoder)
    return read(path, table.frame.height, doubt_of(table))


def doubt_of(table: Table) -> str:
    """Return why fewer rows of a table can be decoded than could be, a sentence; empty where nothing is known."""
    from ventilator.decoder.digits import lost_digits

    lost = lost_digits(table.frame["u_in"].to_numpy())
    return f"{table.path}: {lost}" if lost else ""


def check(table: Table, wanted_by: str = "post.decode = true") -> None:
    """Refuse a table that can't be decoded before anything else is done.

    Raises:
        UserError: it is not of the competition's shape.
    """
    from ventilator.decoder.breaths import check_columns

    try:
        check_columns(["id", *table.frame.columns], "the frame")
    except ValueError as error:
        raise _not_a_ventilator(table, wanted_by, error) from error


def _write(
    path: Path,
    table: Table,
    on_progress: Callable[[int, int], None] | None,
    wanted_by: str,
    decoder: Decoder | None,
) -> None:
    """Decode a table part by part, and write its file; arguments and errors are those of `obtain`."""
    from ventilator.decoder.file_decoding import decode_in_turn, decode_parts

    ends, total = np.append(0, np.cumsum(table.lengths)), len(table.lengths)
    parts = list(chunks(total, SERIES))

    def read(number: int) -> pl.DataFrame:
        return _numbered(table, int(ends[parts[number].start]), int(ends[parts[number].stop]))

    def done(count: int) -> None:
        if on_progress:
            on_progress(parts[count - 1].stop, total)

    folder = path.with_name(f".{path.stem}-{SERIES}.parts")
    with locks.lock(files.runs() / "locks" / f"exact-{path.stem}"):
        if not damage(path):  # another process has decoded it while this one waited
            return
        try:
            found = decode_parts(folder, len(parts), read, done, decoder or decode_in_turn)
        except ValueError as error:
            raise _not_a_ventilator(table, wanted_by, error) from error
        with files.atomic(path) as stream:
            pl.read_parquet(found, glob=False).write_parquet(stream)
        artefacts.seal(mark_of(path), [path])
        for each in path.parent.glob(f".{path.stem}-*.parts"):  # those of another size, too
            shutil.rmtree(each)


def keep(table: Table, found: pl.DataFrame) -> None:
    """Keep rows of a table that were decoded for something else, too, unless they are kept already.

    found: as the decoder returns them; its ids are the numbers of the table's rows.
    """
    path = path_of(table)
    with locks.lock(files.runs() / "locks" / f"exact-{path.stem}"):
        if damage(path):
            with files.atomic(path) as stream:
                found.write_parquet(stream)
            artefacts.seal(mark_of(path), [path])


def _numbered(table: Table, first: int, last: int) -> pl.DataFrame:
    """Return rows first .. last - 1, their numbers as ids: the fingerprint, which names the file, leaves ids out."""
    return table.frame[first:last].with_columns(pl.int_range(first, last, eager=True).alias("id"))


def at_once(table: Table) -> Exact:
    """Decode a table and keep nothing: a few series, whose predictions are wanted now.

    Raises:
        UserError: the table is not of the competition's shape.
    """
    from ventilator.controller import grid_pressure
    from ventilator.decoder.breaths import table as breaths_of
    from ventilator.decoder.decoder_state import DecoderState, Output
    from ventilator.decoder.frame_decoding import CHUNK, decode_breaths
    from ventilator.decoder.records import KINDS

    if len(table.lengths) > CHUNK:  # worth the threads of `decode`
        return _of_rows(_decoded(table), table.frame.height)
    try:
        breaths = breaths_of(table.frame)
    except ValueError as error:
        raise _not_a_ventilator(table, "post.decode = true", error) from error
    out = Output.empty(len(breaths.row))
    decode_breaths(breaths, 0, len(breaths.size), out)
    found = DecoderState.of(out, breaths.row)
    known = found.kind > 0
    values = np.full(len(known), np.nan)
    values[known] = grid_pressure(found.grid[known])
    return Exact(values, np.where(known, np.array(KINDS)[found.kind], ""))


def _not_a_ventilator(table: Table, wanted_by: str, error: ValueError) -> UserError:
    return UserError(f"{wanted_by} reads the ventilator's controller out of {table.path}: {error}")


def _decoded(table: Table) -> pl.DataFrame:
    """Decode a table in memory."""
    from ventilator import decoder

    try:
        return decoder.decode(_numbered(table, 0, table.frame.height))
    except ValueError as error:
        raise _not_a_ventilator(table, "post.decode = true", error) from error


def path_of(table: Table) -> Path:
    """Return where a table's exact rows are kept: the name hashes the table and the decoder's code."""
    return files.runs() / "exact" / f"{table.fingerprint}-{decoder_code()}.parquet"


def decoder_code() -> str:
    """Hash the decoder's code."""
    from ventilator import controller, decoder

    sources = [Path(str(controller.__file__)), *sorted(Path(str(decoder.__file__)).parent.glob("*.py"))]
    return files.digest([path.read_text(encoding="utf-8") for path in sources])


def mark_of(path: Path) -> Path:
    """Return where the checksum of a file of exact rows lies: beside it."""
    return path.with_suffix(".json")


def damage(path: Path) -> str:
    """Return why a file of exact rows is not what was written, empty where it is. Older versions wrote no checksum."""
    mark = mark_of(path)
    return artefacts.NO_MARK if path.exists() and not mark.exists() else artefacts.damage(mark)


def read(path: Path, rows: int, doubt: str = "") -> Exact:
    """Read a file of exact rows. rows: how many the table has.

    Raises:
        Damaged: it is not what was written.
    """
    artefacts.refuse_damaged(mark_of(path), "Run the same command again: rows are decoded again.", path)
    return _of_rows(pl.read_parquet(path, glob=False), rows, doubt)


def _of_rows(found: pl.DataFrame, rows: int, doubt: str = "") -> Exact:
    """Put decoded rows, which the decoder names by their numbers, in their places. rows: how many the table has."""
    from ventilator.decoder.records import KINDS

    values, codes, place = np.full(rows, np.nan), np.zeros(rows, dtype=np.uint8), found["id"].to_numpy()
    values[place] = found["pressure"].to_numpy()
    codes[place] = found["kind"].cast(pl.Enum(KINDS)).to_physical().to_numpy()
    return Exact(values, np.array(KINDS)[codes], doubt)
