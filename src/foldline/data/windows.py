"""Windows: the cut-outs of long training series that have one answer each, at `data.level = "window"`.

A window is a run of `length` rows of one series. Windows lie side by side, or a `stride` apart, or where the rows of a
file say (window_file.py). They are cut once, when a training table is read (window_cuts.py); behind that each is a
series of its own with one answer, and all windows of one long series are of one group. A series of the test table is a
window as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

# Which kinds of target an answer can be made for; "last" and "first" take the target of a row, of any kind.
MADE_FOR = {
    "mean": ("regression", "distribution"),
    "max": ("regression", "binary", "multilabel", "ordinal"),
    "majority": ("binary", "multiclass", "multilabel", "ordinal"),
}


@dataclass(frozen=True, kw_only=True)
class WindowCutsConfig:
    """[data.windows]: how training series are cut, with `level = "window"`."""

    length: int = 0  # rows of a window, as a test series has them; a training series' last rows may be in none
    stride: int = 0  # rows from the start of one window to that of the next; 0: `length`, so that none overlap
    # What a window's answer is: the target of its last or first row; the mean, the greatest, or the most frequent one.
    answer: Literal["last", "first", "mean", "max", "majority"] = "last"
    # File (without its ending) with a row a window, instead of stride and answer: key, `offset`, target, and the group
    # and the weight where it has them.
    file: str = ""
    offset: str = ""  # its column of where a window starts: at the first row of the series not before it
    rate: float = 0.0  # rows a unit of `offset`, counted from the series' first row; 0: it is a value of data.order

    def __post_init__(self) -> None:
        if self.length < 0 or self.stride < 0 or self.rate < 0:
            raise ValueError(
                f"length, stride and rate must not be below 0, but are {self.length}, {self.stride}, {self.rate:g}"
            )
        if self.file and (self.stride or self.answer != "last"):
            raise ValueError("file says where windows start and what their answers are: leave stride and answer out")
        if self.file and not self.offset:
            raise ValueError("file needs offset, its column that says where a window starts")
        if not self.file and (self.offset or self.rate):
            raise ValueError("offset and rate are for a file of windows: name it as file, or leave them out")

    def check_kind(self, kind: str) -> None:
        """Refuse an answer that can't be made of a kind of target.

        Raises:
            ValueError
        """
        kinds = MADE_FOR.get(self.answer)
        if kinds is not None and kind not in kinds:
            raise ValueError(
                f"windows.answer = {self.answer!r} is made for {', '.join(kinds)}, but kind is {kind!r}: take 'last' "
                "or 'first'"
            )


@dataclass(frozen=True)
class Places:
    """Where W windows lie, in the order in which they are cut."""

    series: np.ndarray  # (W,) int64, which long series
    first: np.ndarray  # (W,) int64, the row in it with which a window starts

    def rows(self, starts: np.ndarray, length: int) -> np.ndarray:
        """Return the row of the table of each row of each window, (W, length) uint32.

        starts: (N,) row with which each long series starts.
        """
        begin = (starts[self.series] + self.first).astype(np.uint32)  # polars gathers by uint32
        return np.asarray(begin[:, None] + np.arange(length, dtype=np.uint32))


def by_stride(lengths: np.ndarray, config: WindowCutsConfig) -> Places:
    """Place windows from the first row of each series on, as many as fit.

    lengths: (N,) rows of each series.
    """
    stride = config.stride or config.length
    counts = np.where(lengths >= config.length, (lengths - config.length) // stride + 1, 0)
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return Places(np.repeat(np.arange(len(lengths)), counts), number * stride)


def rows_left_over(places: Places, lengths: np.ndarray, length: int) -> int:
    """Count the rows that are in no window. lengths: (N,) rows of each series. length: rows of a window."""
    starts = np.cumsum(lengths) - lengths
    begin = np.sort(starts[places.series] + places.first)
    ends = np.append(begin[1:], lengths.sum())
    return int(lengths.sum() - np.minimum(ends - begin, length).sum())
