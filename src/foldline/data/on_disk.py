"""Columns of large tables, and arrays as long: in files that are mapped into memory, which does not follow their rows.

A column of some MB is written below runs/ and read back as a map of that file: its values, type and use are the same,
but the system may take its memory back at any time. The file loses its name at once, and its space when nobody uses the
column any more, whatever ends the process. Smaller columns stay as they are.
"""

from __future__ import annotations

import errno
import importlib.util
import inspect
import math
import mmap
import os
import tempfile
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary, finalize

import numpy as np
import polars as pl

from foldline.core import files
from foldline.core.chunks import chunks

LARGE = 1 << 21  # bytes from which a column is kept on disk
LONGEST = 1 << 25  # bytes of a column that comes in parts: more are never in memory
SHARE = 16  # a part in memory is this share of what is on disk, so that parts are few
ROWS = 1 << 20  # whose values are compared at once
# Columns that are written as they lie in memory, by type: polars takes a type and its class for the same key.
NUMBERS: dict[Any, type[np.generic]] = {pl.Float64: np.float64, pl.Int64: np.int64}
SHORT = 12  # bytes of a text that Arrow's views hold themselves, in 16 bytes a text
VIEWS = hasattr(pl.CompatLevel, "newest") and importlib.util.find_spec("pyarrow") is not None
# Older versions of polars have no such argument; they cut nothing.
CUTS = "record_batch_size" in inspect.signature(pl.DataFrame.write_ipc).parameters
_written: WeakValueDictionary[int, np.ndarray] = WeakValueDictionary()  # address -> what is mapped there


def kept(column: pl.Series) -> pl.Series:
    """Return a column in one piece, on disk where it is large; as it is where it has been written there before."""
    if _is_written(column):
        return column
    return _mapped(column.to_frame()).to_series() if size_of(column) > LARGE else column.rechunk()


def size_of(column: pl.Series) -> int:
    """Return the bytes of a column in memory."""
    views = 16 * len(column) if column.dtype == pl.String else 0  # polars counts the letters of short texts alone
    return views + int(column.estimated_size())


def zeros(shape: tuple[int, ...], dtype: type = np.float64) -> np.ndarray:
    """Return an array of zeros to be filled, on disk where it is large."""
    count = math.prod(shape) * np.dtype(dtype).itemsize
    if count <= LARGE:
        return np.zeros(shape, dtype)
    handle, name = _named()
    try:
        _reserve(handle, count)
        return np.frombuffer(mmap.mmap(handle, count), dtype).reshape(shape)
    finally:
        os.close(handle)
        Path(name).unlink()


def _reserve(handle: int, count: int) -> None:
    """Take room for a map on the disk: where that is full, writing into the map would end the process."""
    try:
        os.posix_fallocate(handle, 0, count)
    except (AttributeError, OSError) as error:  # macOS has no such call, and not every file system takes it
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        os.truncate(handle, count)


def kept_array(values: np.ndarray) -> np.ndarray:
    """Return an array, on disk where it is large."""
    if values.nbytes <= LARGE:
        return values
    found = zeros(values.shape, values.dtype.type)
    found[...] = values
    return found


def stacked(arrays: Iterable[np.ndarray], count: int) -> np.ndarray:
    """Stack `count` arrays of one shape, at least one, made one after the other; on disk where they are large."""
    found = np.zeros(0)
    for number, array in enumerate(arrays):
        if not number:
            found = zeros((count, *array.shape))
        found[number] = array
    return found


def kept_all(columns: Iterable[pl.Series]) -> pl.DataFrame:
    """Gather columns that are made one after the other, each kept before the next one is made."""
    return pl.DataFrame([kept(column) for column in columns])


def distinct(column: pl.Series) -> pl.Series:
    """Return the values of a column, each once, in the order in which they come; missing ones are one of them."""
    parts = [column[part].unique(maintain_order=True) for part in chunks(len(column), ROWS)]
    return pl.concat(parts or [column]).unique(maintain_order=True)


def _mapped(frame: pl.DataFrame) -> pl.DataFrame:
    """Write rows into a file without a name, and map it."""
    handle, name = _named()
    os.close(handle)
    try:
        whole: dict[str, Any] = {"record_batch_size": frame.height} if CUTS else {}  # else numpy would copy the pieces
        frame.rechunk().write_ipc(name, compression="uncompressed", compat_level=pl.CompatLevel.newest(), **whole)
        return _map(name)
    finally:
        Path(name).unlink()


def collected(frame: pl.LazyFrame) -> pl.DataFrame:
    """Collect a large frame part by part, into a file without a name that is mapped into memory."""
    handle, name = _named()
    os.close(handle)
    try:
        frame.sink_ipc(name, compression="uncompressed", compat_level=pl.CompatLevel.newest())
        found = _map(name)
        found.columns = frame.collect_schema().names()  # of one without a name polars makes column_0
        return found
    finally:
        Path(name).unlink()


def _named() -> tuple[int, str]:
    """Open a file that is about to lose its name; returns its descriptor, and its path."""
    files.runs().mkdir(parents=True, exist_ok=True)
    return tempfile.mkstemp(dir=files.runs(), prefix=".rows.", suffix=files.TEMPORARY)


def _map(path: str) -> pl.DataFrame:
    """Map a file of rows into memory. polars would read it; a notebook may lack pyarrow."""
    if importlib.util.find_spec("pyarrow") is None:
        return pl.read_ipc(path).rechunk()
    import pyarrow

    with pyarrow.memory_map(path) as mapped, pyarrow.ipc.open_file(mapped) as rows:
        table = pyarrow.Table.from_batches(list(map(rows.get_batch, range(rows.num_record_batches))))
        return cast(pl.DataFrame, pl.from_arrow(table, rechunk=False))  # several batches would be copied into memory


class _Written:
    """Numbers or short texts, none of them missing, that are written one below the other into a file without a name."""

    def __init__(self, like: pl.Series) -> None:
        self._name, self._dtype, self._bytes = like.name, like.dtype, 0
        self._handle, path = _named()
        self._close = finalize(self, os.close, self._handle)  # also where reading fails: it would fill the disk
        Path(path).unlink()

    def takes(self, part: pl.Series) -> bool:
        """Whether a part can be written below the others."""
        return part.dtype == self._dtype and _is_plain(part)

    def add(self, part: pl.Series) -> None:
        """Write a part."""
        for piece in part.get_chunks():
            data = _values(piece).data
            files.write_at(self._handle, data, self._bytes)
            self._bytes += data.nbytes

    def series(self) -> pl.Series:
        """Map all of them into memory; nothing can be added then."""
        text = self._dtype == pl.String
        mapped = mmap.mmap(self._handle, self._bytes, access=mmap.ACCESS_READ)
        values = np.frombuffer(mapped, np.int64 if text else NUMBERS[self._dtype])
        self._close()
        if not text and importlib.util.find_spec("pyarrow") is None:
            return pl.Series(self._name, values)
        _written[_address(values)] = values
        column = (
            shared(values, "string_view", len(values) // 2) if text else shared(values, str(values.dtype), len(values))
        )
        return column.alias(self._name)


def _is_plain(column: pl.Series) -> bool:
    """Whether a column is numbers or texts of at most SHORT bytes, none of them missing: they lie side by side."""
    if column.null_count() or not len(column):
        return False
    if column.dtype != pl.String:
        return column.dtype in NUMBERS
    return VIEWS and int(column.str.len_bytes().max()) <= SHORT  # type: ignore[arg-type]


def _values(piece: pl.Series) -> np.ndarray:
    """Return the memory of a plain column in one piece: numbers, or two words a text, its length and its letters."""
    if piece.dtype != pl.String:
        return piece.to_numpy()
    views = piece.to_arrow(compat_level=pl.CompatLevel.newest())
    words = np.frombuffer(views.buffers()[1], np.int64)
    return words[2 * views.offset :][: 2 * len(views)]


def shared(values: np.ndarray, kind: str, count: int) -> pl.Series:
    """Return a column whose values lie in an array, which is not copied. kind: by pyarrow's name of it."""
    import pyarrow

    buffers = [None, pyarrow.py_buffer(values)]
    return cast(pl.Series, pl.from_arrow(pyarrow.Array.from_buffers(getattr(pyarrow, kind)(), count, buffers)))


def _is_written(column: pl.Series) -> bool:
    """Whether a column is, from its first to its last value, what a `_Written` has mapped."""
    if column.n_chunks() > 1 or not (column.dtype in NUMBERS or (VIEWS and column.dtype == pl.String)):
        return False
    if column.null_count() or not len(column):
        return False
    values = _values(column)
    found = _written.get(_address(values))
    return found is not None and found.nbytes == values.nbytes


def _address(values: np.ndarray) -> int:
    return int(values.__array_interface__["data"][0])


class Gathered:
    """A column whose values come in parts, one below the other."""

    def __init__(self) -> None:
        self._done: list[pl.Series] = []
        self._written: _Written | None = None
        self._waiting: list[pl.Series] = []
        self._bytes = self._total = 0

    def add(self, part: pl.Series) -> None:
        """Add values below those that are there."""
        if not self._waiting and self._written is not None and self._written.takes(part):
            self._written.add(part)
            self._total += size_of(part)
            return
        self._waiting.append(part)
        self._bytes += size_of(part)
        if self._bytes > min(max(LARGE, self._total // SHARE), LONGEST):
            self._keep()

    def parts(self) -> list[pl.Series]:
        """Return the values in as few parts as their types allow; no empty ones, unless all are."""
        self._keep()
        self._finish()
        filled = [part for part in self._done if len(part)]
        return filled or self._done[:1]

    def _keep(self) -> None:
        for part in joined(self._waiting):
            if self._written is None or not self._written.takes(part):
                self._finish()
                if size_of(part) <= LARGE or not _is_plain(part):
                    self._done.append(kept(part))
                    continue
                self._written = _Written(part)
            self._written.add(part)
        self._waiting, self._bytes, self._total = [], 0, self._total + self._bytes

    def _finish(self) -> None:
        if self._written is not None:
            self._done.append(self._written.series())
            self._written = None


def joined(parts: Sequence[pl.Series]) -> list[pl.Series]:
    """Put neighbours of one type together."""
    return [pl.concat(list(group)) for _, group in groupby(parts, key=lambda part: part.dtype)]
