"""The file of a store's features, computed and written chunk by chunk: memory does not follow the table's rows.

A chunk is some whole series. One that is long is computed feature by feature, each kept on disk (on_disk.py) until all
are there; values are the same either way.
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

    on_progress: called with (series done, series in all).

    Raises:
        UserError: a feature is not finite.
    """
    table, count = made.table, len(made.names)
    starts, frame = np.append(table.starts, table.frame.height), table.for_features  # (N + 1,)
    workers = os.cpu_count() or 1
    most, one_long = chunk_rows(count, workers), threading.Lock()
    with path.open("wb") as stream:  # written, not mapped: on a full disk a map ends the process
        shape = (table.frame.height, count)
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
        stream.flush()
        head, size = stream.tell(), 4 * count  # bytes: of the header, of a row
        sums = [(head, checksums.of_bytes(memoryview(path.read_bytes())))]

        def write_chunk(part: tuple[int, int]) -> tuple[int, str]:
            begin, end = (int(starts[series]) for series in part)
            long, checksum, place = end - begin > 2 * most, checksums.ChunkSum(), head + size * begin
            with one_long if long else nullcontext():
                for values in _in_pieces(made, frame[begin:end]) if long else (at_once(made, frame[begin:end]),):
                    files.write_at(stream.fileno(), values.data, place)
                    checksum.add(values.data)  # it is still in the core's cache
                    place += values.nbytes
            return part[1], checksum.digits()

        with ThreadPoolExecutor(workers) as pool:  # polars hardly spreads one small chunk over the cores
            first = 0
            for last, checksum in pool.map(write_chunk, features.series_chunks(table.lengths, most)):
                sums.append((size * int(starts[last] - starts[first]), checksum))
                first = last
                if on_progress:
                    on_progress(last, len(table.lengths))
    return checksums.of_chunks(sums)


def chunk_rows(count: int, workers: int) -> int:
    """Return how many rows of `count` features are computed at once, so that all workers together stay in MEMORY."""
    return min(CHUNK_ROWS, max(LEAST_ROWS, MEMORY // (BYTES_A_FEATURE * count * workers)))


def at_once(made: Made, rows: pl.DataFrame) -> np.ndarray:
    """Compute the features of some whole series: (rows, F) float32.

    Raises:
        UserError: one is not finite.
    """
    with competition_file.explained_features(made.families):
        values = features.compute(rows, made.columns, made.families).cast(pl.Float32).to_numpy(order="c")
    return checked(np.asarray(values), made, rows)


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
    fine = np.abs(values) < LARGEST  # not so for NaN
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
