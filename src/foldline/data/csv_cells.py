"""Blocks of a CSV file by compiled code (csv_kernel.py), where all their cells are as cells nearly always are.

It takes a quarter of polars' time, and checks the rows by the way. `parsed` gives nothing where any cell or row of a
block is unusual: polars then reads that block, and all other checks look at it.
"""

from __future__ import annotations

import functools
import importlib.util
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from foldline.data import csv_kernel
from foldline.data.csv_kernel import NUMBER, SKIPPED, TEXT, WHOLE
from foldline.data.on_disk import shared

KINDS: dict[Any, int] = {pl.Float64: NUMBER, pl.Int64: WHOLE, pl.String: TEXT}
SLACK = 2  # times as many rows as the first block lets expect
GIVEN_UP = 4  # blocks with something unusual, if they are most of all: the file is not of the usual kind


@functools.cache
def compiling() -> Future[Callable[..., int]]:
    """Begin to compile, beside whatever goes on; blocks that come before it has ended are polars'."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(_rows)
    pool.shutdown(wait=False)
    return future


def available() -> bool:
    """Whether what it takes is installed."""
    return all(importlib.util.find_spec(name) for name in ("llvmlite", "pyarrow"))


def _rows() -> Callable[..., int]:
    from foldline.core import native

    kernel = csv_kernel
    helpers = (
        *(kernel.next_eight, kernel.digits, kernel.of_digits, kernel.rounded),
        *(kernel.number, kernel.whole, kernel.text, kernel.behind),
    )
    return native.compiled(kernel.rows, *helpers)


@functools.cache
def _fives() -> np.ndarray:
    return np.array(csv_kernel.powers(), dtype=np.uint64).view(np.int64)


@dataclass(frozen=True)
class Parsed:
    """A block's wanted columns, null where a cell is empty; numbers lie in `words`, texts in memory of their own."""

    columns: list[pl.Series]
    words: np.ndarray


class Cells:
    """Parses blocks of one file; threads may do so side by side."""

    def __init__(self, fields: int, places: Sequence[int], first: Sequence[pl.Series], size: int) -> None:
        """fields: of the header. places: of the wanted columns. first: these in the first block, of so many bytes."""
        self.places, self.bytes_a_row = list(places), size / max(len(first[0]), 1)
        self.kinds = np.full(fields, SKIPPED)
        self.kinds[self.places] = [KINDS[each.dtype] for each in first]
        self.widths = np.select([self.kinds == SKIPPED, self.kinds == TEXT], [0, 2], 1)  # words of a cell
        self.unusual = self.usual = 0
        self._free: list[np.ndarray] = []

    @classmethod
    def of(cls, fields: int, places: Sequence[int], first: Sequence[pl.Series], size: int) -> Cells | None:
        """Return what parses blocks like the first one; None: nothing does, or what it takes is not installed."""
        usual = fields > 1 and all(each.dtype in KINDS for each in first)
        return cls(fields, places, first, size) if usual and available() else None

    def parsed(self, block: bytearray) -> Parsed | None:
        """Parse a block; None: something in it is unusual."""
        if self.unusual >= max(GIVEN_UP, self.usual) or not block.endswith(b"\n") or not compiling().done():
            return None
        most = int(SLACK * len(block) / self.bytes_a_row) + 1
        ends = np.cumsum(self.widths * most)
        starts, words, odd = ends - self.widths * most, self._words(int(ends[-1])), np.zeros(csv_kernel.ODD, np.int64)
        missing, data = np.zeros(len(self.kinds), dtype=np.int64), np.frombuffer(block, dtype=np.uint8)
        of_block = data, len(block), most, len(self.kinds)
        count = compiling().result()(*of_block, self.kinds, starts, words, missing, _fives(), odd)
        if count < 0:
            self.unusual += 1
            return None
        self.usual += 1
        for place, begin, end in odd[1 : 1 + 3 * odd[0]].reshape(-1, 3):
            words[place] = struct.unpack("<q", struct.pack("<d", float(block[begin:end])))[0]
        columns = [
            self._column(place, words[starts[place] :][: self.widths[place] * count], int(missing[place]))
            for place in self.places
        ]
        return Parsed(columns, words)

    def _words(self, count: int) -> np.ndarray:
        """Return room for so many words: what was given back, as new memory costs more than parsing into it."""
        with suppress(IndexError):
            if len(words := self._free.pop()) >= count:
                return words
        return np.empty(count + count // 8, dtype=np.int64)

    def give_back(self, parsed: Parsed) -> None:
        """Take the memory of columns that nobody looks at any more."""
        self._free.append(parsed.words)

    def _column(self, place: int, words: np.ndarray, missing: int) -> pl.Series:
        kind = self.kinds[place]
        if kind == TEXT:
            texts = shared(words.copy(), "string_view", len(words) // 2)
            return texts.set(texts == "", None) if missing else texts
        if kind == WHOLE:
            return shared(words, "int64", len(words))
        numbers = shared(words, "float64", len(words))
        return numbers.fill_nan(None) if missing else numbers
