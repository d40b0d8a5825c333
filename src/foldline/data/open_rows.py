"""Rows that a decoder leaves open: what an estimator of them reads of a table, made once and kept beside exact rows.

Like exact_rows.py it reads inputs alone, and only the ventilator competition has an estimator (src/ventilator).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core import artefacts, files
from foldline.core.errors import UserError
from foldline.data import exact_rows
from foldline.data.channel_files import ChannelFiles
from foldline.data.table import Table

MASKS = 5  # seed of drawn masks: the copies of a fold's series are the same for all models and runs


def obtain(table: Table, on_progress: Callable[[int, int], None] | None = None) -> Path:
    """Prepare a table's rows for an estimator, or find what an earlier call prepared; return the file.

    Exact rows are among what is found; they are kept as exact_rows.py keeps them, so that a table is decoded once.

    on_progress: called with (series done, series in all).

    Raises:
        UserError: the table is not of the competition's shape.
    """
    from ventilator import open_rows

    path, total = path_of(table.fingerprint), len(table.lengths)
    why = artefacts.damage(path.with_suffix(".json"))
    if not why:
        if exact_rows.damage(exact_rows.path_of(table)):
            exact_rows.keep(table, _decoded(read(table.fingerprint)))
        return path
    if path.exists() and why != artefacts.NO_MARK:
        artefacts.say(path, why, "its rows are prepared again")
    try:
        found = open_rows.prepared(
            table.frame.with_columns(pl.int_range(pl.len()).alias("id")),
            progress=(lambda done: on_progress(done, total)) if on_progress else None,
        )
    except ValueError as error:
        raise UserError(f"{table.path}: the estimator of open rows is the ventilator's: {error}") from error
    with files.atomic(path) as stream:
        np.savez(stream, **found)  # type: ignore[arg-type]
    artefacts.seal(path.with_suffix(".json"), [path])
    exact_rows.keep(table, _decoded(found))
    return path


def _decoded(rows: dict[str, np.ndarray]) -> pl.DataFrame:
    from ventilator import open_rows

    found: pl.DataFrame = open_rows.decoded(rows)
    return found


def obtain_embedded(fingerprint: str) -> None:
    """Estimate prepared rows by what the estimator comes with, fitted to no label, unless that is there.

    fingerprint: of a table, whose rows are prepared.
    """
    from ventilator import open_rows

    found, mark = _embedded(fingerprint)
    why = artefacts.damage(mark)
    if why:
        if mark.exists() and why != artefacts.NO_MARK:
            artefacts.say(found.channels, why, "its rows are estimated again")
        found.write(open_rows.estimated(read(fingerprint), open_rows.embedded_lungs()))
        artefacts.seal(mark, found.both)


def embedded_channels(fingerprint: str) -> ChannelFiles:
    """Return the files that `obtain_embedded` wrote.

    Raises:
        Damaged: they are not that.
    """
    found, mark = _embedded(fingerprint)
    way_out = "Run the same command again: rows are estimated again."
    artefacts.refuse_damaged(mark, way_out, found.channels)
    return found


def _embedded(fingerprint: str) -> tuple[ChannelFiles, Path]:
    """Return where the estimates of `obtain_embedded` are kept, and their mark."""
    stem = files.runs() / "exact" / f"embedded-{fingerprint}-{code()}"
    found = ChannelFiles(stem.with_suffix(".npy"), stem.with_name(f"{stem.name}-estimate.npy"))
    return found, stem.with_suffix(".json")


def path_of(fingerprint: str) -> Path:
    """Return where the prepared rows of a table are kept: the name hashes the table, decoder and estimator."""
    return files.runs() / "exact" / f"open-{fingerprint}-{code()}.npz"


def code() -> str:
    """Hash the code that estimates of open rows depend on."""
    from ventilator import open_rows

    return files.digest(
        [exact_rows.decoder_code(), *(path.read_text(encoding="utf-8") for path in open_rows.sources())]
    )


def read(fingerprint: str) -> dict[str, np.ndarray]:
    """Read the prepared rows of a table.

    Raises:
        Damaged: they are not what was written.
    """
    path = path_of(fingerprint)
    way_out = "Run the same command again: rows are prepared again."
    artefacts.refuse_damaged(path.with_suffix(".json"), way_out, path)
    with np.load(path) as arrays:
        return dict(arrays)


def names() -> tuple[str, ...]:
    """Return the names of an estimator's channels, (C,)."""
    from ventilator import open_rows

    return open_rows.names()


def exact(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Return the exact values of prepared rows, (R,); NaN where there are none."""
    from ventilator import open_rows

    return open_rows.exact(rows)


def masked(rows: dict[str, np.ndarray], number: int, among: np.ndarray) -> dict[str, np.ndarray]:
    """Return prepared rows with other exact ones: fewer of each series, as another series has them.

    Args:
        rows: of a table.
        number: of the copy; each draws anew.
        among: (R,) bool, rows of the series that these others are among: of those that a fold trains on.
    """
    from ventilator import open_rows

    return open_rows.masked(rows, np.random.default_rng([MASKS, number]), among)


def classes(fingerprint: str) -> np.ndarray:
    """Name how each row of a table lies to exact ones, (R,) text. fingerprint: of the table, whose rows are prepared.

    Raises:
        Damaged: they are not what was written.
    """
    from ventilator import open_rows

    return np.asarray(open_rows.classes(read(fingerprint)))


def ranked(fingerprint: str, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Settle gaps of open rows whose equation has one solution inside an estimate's window, (R,); NaN elsewhere.

    Args:
        fingerprint: of the table, whose rows are prepared.
        mean, sd: (R,) the estimate of each row, and its standard deviation.

    Raises:
        Damaged: the rows are not what was written.
    """
    from ventilator import open_rows

    return open_rows.ranked(read(fingerprint), mean, sd)
