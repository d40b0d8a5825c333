"""The file of a store's features, computed and written chunk by chunk: memory does not follow the table's rows.

A chunk is some whole series. One that is long is computed feature by feature, each kept on disk (on_disk.py) until all
are there; values are the same either way.

A call that is killed is gone on with: each PART_ROWS rows a file beside the features lists the chunks that are written,
each with its checksum. Those that hold what was written are not computed again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline import features
from foldline.core import artefacts, checksums, files
from foldline.core.chunks import chunks
from foldline.core.errors import UserError
from foldline.data import competition_file, on_disk
from foldline.data.table import Table
from foldline.features import Columns, Family

LARGEST = 1.8e19  # of a feature: its square is still a number in float32, as networks and scalers need
CHUNK_ROWS = 120_000  # rows whose features are computed at once: few enough that the allocator reuses their memory
MEMORY = 1 << 29  # bytes for features that are being computed; wide ones come in smaller chunks
BYTES_A_FEATURE = 24  # of a row, while it is computed
LEAST_ROWS = 1 << 12  # of a chunk
PART_ROWS = 1 << 21  # between two notes of how far the file is
PARTS = ".parts.json"  # these, in the folder of a file that is being written
CACHED_ROWS = 1 << 11  # of a chunk that are turned from columns to rows at once
PIECE_ROWS = 1 << 16  # of a long series that are written together; checksums need a multiple of 2^16


@dataclass(frozen=True)
class Made:
    """What features are made of."""

    table: Table
    families: list[Family]
    columns: Columns
    names: list[str]  # (F,)

    @property
    def has_gaps(self) -> bool:
        """Whether features may be missing: where inputs are, or past targets."""
        return self.table.has_gaps or any(family.has_gaps for family in self.families)


def write(path: Path, made: Made, on_progress: Callable[[int, int], None] | None = None) -> artefacts.Entry:
    """Compute and write the features, (R, F) float32; return the file's checksums.

    Args:
        path: where a killed call may have written some of them.
        on_progress: called with (series done, series in all).

    Raises:
        UserError: a feature is not finite.
    """
    table, count = made.table, len(made.names)
    starts, frame = np.append(table.starts, table.frame.height), table.for_features  # (N + 1,)
    workers = os.cpu_count() or 1
    most, one_long = chunk_rows(count, workers), threading.Lock()
    sums = _begun(path, (table.frame.height, count))
    head, size = sums[0][0], 4 * count  # bytes: of the header, of a row
    noted = (sum(each for each, _ in sums) - head) // size  # rows that are there, as the notes say
    first = int(np.searchsorted(starts, noted))  # series that are there
    with path.open("r+b") as stream:  # written, not mapped: on a full disk a map ends the process

        def write_chunk(part: tuple[int, int]) -> tuple[int, str]:
            begin, end = (int(starts[series]) for series in part)
            long, checksum, place = end - begin > 2 * most, checksums.ChunkSum(), head + size * begin
            with one_long if long else nullcontext():
                for values in _in_pieces(made, frame[begin:end]) if long else (at_once(made, frame[begin:end]),):
                    files.write_at(stream.fileno(), values.data, place)
                    checksum.add(values.data)  # it is still in the core's cache
                    place += values.nbytes
            return part[1], checksum.digits()

        chunks_of_series = features.series_chunks(table.lengths, most)
        waiting = [(max(begin, first), end) for begin, end in chunks_of_series if end > first or not end]
        with ThreadPoolExecutor(workers) as pool:  # polars hardly spreads one small chunk over the cores
            for last, checksum in pool.map(write_chunk, waiting):
                sums.append((size * int(starts[last] - starts[first]), checksum))
                first = last
                if starts[first] - noted >= PART_ROWS:
                    artefacts.write_json(path.with_name(PARTS), {"chunks": sums})
                    noted = starts[first]
                if on_progress:
                    on_progress(last, len(table.lengths))
    return checksums.of_chunks(sums)


def _begun(path: Path, shape: tuple[int, int]) -> list[tuple[int, str]]:
    """Begin a file of features with its header, or find what a killed call has written of it; shape: (R, F).

    Returns:
        Bytes and checksum of the header, and of each chunk that is there.
    """
    try:
        noted = artefacts.read_json(path.with_name(PARTS)).get("chunks", [])
        there = checksums.intact(path, [(int(size), str(digits)) for size, digits in noted])
    except (artefacts.Damaged, FileNotFoundError):
        there = []
    if there:
        return there
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return [(path.stat().st_size, checksums.of_bytes(memoryview(path.read_bytes())))]


def chunk_rows(count: int, workers: int) -> int:
    """Return how many rows of `count` features are computed at once, so that all workers together stay in MEMORY."""
    return min(CHUNK_ROWS, max(LEAST_ROWS, MEMORY // (BYTES_A_FEATURE * count * workers)))


def at_once(made: Made, rows: pl.DataFrame) -> np.ndarray:
    """Compute the features of some whole series: (rows, F) float32.

    Raises:
        UserError: one is not finite.
    """
    with competition_file.explained_features(made.families):
        columns = [column.to_numpy() for column in features.compute(rows, made.columns, made.families)]
    values = np.empty((rows.height, len(columns)), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then is refused
        for part in chunks(rows.height, CACHED_ROWS):  # half the time of polars' cast and to_numpy
            for place, column in enumerate(columns):
                values[part, place] = column[part]
    return checked(values, made, rows)


def _in_pieces(made: Made, rows: pl.DataFrame) -> Iterator[np.ndarray]:
    """Compute the features of whole series one after the other: pieces of (rows, F) float32."""
    found = []
    with competition_file.explained_features(made.families):
        for family in made.families:
            for expression in family.expressions(made.columns):
                one = features.compute(rows, made.columns, [OneFeature(expression, family.lookahead)])
                found.append(on_disk.kept(one.to_series().cast(pl.Float32)).to_numpy())
    for piece in chunks(rows.height, PIECE_ROWS):
        yield checked(np.stack([values[piece] for values in found], axis=1), made, rows[piece])


@dataclass(frozen=True)
class OneFeature(Family):
    """One feature of a family, alone."""

    expression: pl.Expr
    ahead: bool

    @property
    def lookahead(self) -> bool:
        return self.ahead

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        return [self.expression]


def checked(values: np.ndarray, made: Made, rows: pl.DataFrame) -> np.ndarray:
    """Return features, (rows, F), of some rows.

    Raises:
        UserError: one is too large, or missing where no input is.
    """
    if values.size and values.min() > -LARGEST and values.max() < LARGEST:  # nearly always; not so for NaN
        return values
    fine = np.abs(values) < LARGEST
    if made.has_gaps:
        fine |= np.isnan(values)
    if not fine.all():
        row, place = np.argwhere(~fine)[0]
        key = rows[made.table.data.key][int(row)]
        raise UserError(
            f"A feature must be finite in float32, and so must its square (below {LARGEST:g}), but "
            f"{made.names[place]} is {values[row, place]} in {made.table.data.key} {key} of {made.table.path}. "
            "Look for an extreme input there, or leave that family out of features.families."
        )
    return values
