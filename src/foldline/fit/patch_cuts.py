"""Where patches begin and end: after some rows, or after some time (patches.py says what is made of them).

Letters: P patches of R rows of n series; F of them have rows, the others lie in gaps of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foldline.data import time_steps


@dataclass(frozen=True)
class Cut:
    """Rows of n series, one series after the other, cut into patches."""

    lengths: np.ndarray  # (n,) int64, patches of each series
    begins: np.ndarray  # (F,) int64, the first row of each patch that has rows
    filled: np.ndarray  # (F,) int64, which of the P patches that is, ascending
    at: np.ndarray  # (R,) where a row is: its number, or how much later it is than the first one of its series
    width: float = 0.0  # of a patch of time, in the same unit

    @property
    def count(self) -> int:
        """P."""
        return int(self.lengths.sum())

    @property
    def rows(self) -> np.ndarray:
        """Rows of each patch that has any, (F,) int64."""
        return np.diff(self.begins, append=len(self.at))

    @property
    def patch_of_row(self) -> np.ndarray:
        """The patch of each row, (R,) int64."""
        return np.repeat(self.filled, self.rows)

    @property
    def series(self) -> np.ndarray:
        """The series of each patch, (P,) int64."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def step(self) -> np.ndarray:
        """The number of each patch in its series, from 0, (P,) int64."""
        return np.asarray(np.arange(self.count) - np.repeat(np.cumsum(self.lengths) - self.lengths, self.lengths))

    @cached_property
    def middles(self) -> np.ndarray:
        """Where each patch is, (P,) as `at`: at the mean of its rows, without any in the middle of its time."""
        own = np.add.reduceat(self.at, self.begins) / self.rows if self.width else self.begins + (self.rows - 1) / 2
        return own if len(own) == self.count else self.laid_out(own, (self.step + 0.5) * self.width)

    def laid_out(self, values: np.ndarray, empty: np.ndarray | float | bool) -> np.ndarray:
        """Give values of patches with rows, (F, ...), their places among all: (P, ...), elsewhere `empty`."""
        if len(values) == self.count:
            return values
        found = np.empty((self.count, *values.shape[1:]), dtype=values.dtype)
        found[:] = empty
        found[self.filled] = values
        return found


def by_rows(lengths: np.ndarray, rows: int) -> Cut:
    """Cut after so many rows; the last patch of a series may have fewer. lengths: (n,) rows of each series."""
    counts = -(-lengths // rows)
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    begins = np.repeat(np.cumsum(lengths) - lengths, counts) + number * rows
    return Cut(counts, begins, np.arange(len(begins)), np.arange(lengths.sum()))


def by_time(times: np.ndarray, lengths: np.ndarray, every: str | float, gaps: str) -> Cut:
    """Cut after so much time, counted from the first row of each series.

    Args:
        times: (R,) since that row. lengths: (n,) rows of each series.
        gaps: "missing": where no row is in it a patch is there, too; "left-out": it is not.
    """
    numbers = time_steps.numbers_of(times, every).astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    new = np.ones(len(numbers), dtype=bool)
    new[1:] = numbers[1:] != numbers[:-1]
    new[starts] = True
    begins = np.flatnonzero(new)
    if gaps == "left-out":
        counts = np.add.reduceat(new, starts, dtype=np.int64)
        filled = np.arange(len(begins))
    else:
        counts = numbers[starts + lengths - 1] + 1
        filled = np.repeat(np.cumsum(counts) - counts, np.add.reduceat(new, starts, dtype=np.int64)) + numbers[begins]
    return Cut(counts, begins, filled, times, time_steps.length_of(every))
