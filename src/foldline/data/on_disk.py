"""Columns of large tables: kept in files that are mapped into memory, so that memory does not follow their rows.

A column of some MB is written below runs/ and read back as a map of that file: its values, type and use are the same,
but the system may take its memory back at any time. The file loses its name at once, and its space when nobody uses the
column any more, whatever ends the process. Smaller columns stay as they are.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import tempfile
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from foldline.core import files
from foldline.core.chunks import chunks

LARGE = 1 << 21  # bytes from which a column is kept on disk
LONGEST = 1 << 25  # bytes of a column that comes in parts: more are never in memory
SHARE = 16  # a part in memory is this share of what is on disk, so that parts are few
ROWS = 1 << 20  # whose values are compared at once
# Older versions of polars have no such argument; they cut nothing.
CUTS = "record_batch_size" in inspect.signature(pl.DataFrame.write_ipc).parameters


def kept(column: pl.Series) -> pl.Series:
    """Return a column in one piece, on disk where it is large."""
    return _mapped(column.to_frame()).to_series() if size_of(column) > LARGE else column.rechunk()


def size_of(column: pl.Series) -> int:
    """Return the bytes of a column in memory."""
    views = 16 * len(column) if column.dtype == pl.String else 0  # polars counts the letters of short texts alone
    return views + int(column.estimated_size())


def kept_all(columns: Iterable[pl.Series]) -> pl.DataFrame:
    """Gather columns that are made one after the other, each kept before the next one is made."""
    return pl.DataFrame([kept(column) for column in columns])


def distinct(column: pl.Series) -> pl.Series:
    """Return the values of a column, each once, in the order in which they come; missing ones are one of them."""
    parts = [column[part].unique(maintain_order=True) for part in chunks(len(column), ROWS)]
    return pl.concat(parts or [column]).unique(maintain_order=True)


def _mapped(frame: pl.DataFrame) -> pl.DataFrame:
    """Write rows into a file without a name, and map it."""
    files.runs().mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=files.runs(), prefix=".rows.", suffix=files.TEMPORARY)
    os.close(handle)
    try:
        whole: dict[str, Any] = {"record_batch_size": frame.height} if CUTS else {}  # else numpy would copy the pieces
        frame.rechunk().write_ipc(name, compression="uncompressed", compat_level=pl.CompatLevel.newest(), **whole)
        return _map(name)
    finally:
        Path(name).unlink()


def _map(path: str) -> pl.DataFrame:
    """Map a file of rows into memory. polars would read it; a notebook may lack pyarrow."""
    if importlib.util.find_spec("pyarrow") is None:
        return pl.read_ipc(path).rechunk()
    import pyarrow

    with pyarrow.memory_map(path) as mapped, pyarrow.ipc.open_file(mapped) as rows:
        return pl.DataFrame(pyarrow.Table.from_batches(list(map(rows.get_batch, range(rows.num_record_batches)))))


class Gathered:
    """A column whose values come in parts, one below the other."""

    def __init__(self) -> None:
        self._done: list[pl.Series] = []
        self._waiting: list[pl.Series] = []
        self._bytes = self._total = 0

    def add(self, part: pl.Series) -> None:
        """Add values below those that are there."""
        self._waiting.append(part)
        self._bytes += size_of(part)
        if self._bytes > min(max(LARGE, self._total // SHARE), LONGEST):
            self._keep()

    def parts(self) -> list[pl.Series]:
        """Return the values in as few parts as their types allow; no empty ones, unless all are."""
        self._keep()
        filled = [part for part in self._done if len(part)]
        return filled or self._done[:1]

    def _keep(self) -> None:
        self._done += [kept(part) for part in joined(self._waiting)]
        self._waiting, self._bytes, self._total = [], 0, self._total + self._bytes


def joined(parts: Sequence[pl.Series]) -> list[pl.Series]:
    """Put neighbours of one type together."""
    return [pl.concat(list(group)) for _, group in groupby(parts, key=lambda part: part.dtype)]
