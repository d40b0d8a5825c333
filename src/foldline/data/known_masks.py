"""Which steps of series are known, and masks for other series that look like these; what lies next to a step.

N series, n test series, R rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class KnownMasks:
    """Which steps of test series have a known target."""

    known: np.ndarray  # (R,) bool, one series after the other
    lengths: np.ndarray  # (n,) int64, steps of each

    def drawn(self, lengths: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Draw a mask for each of N series: that of a test series of the nearest length, stretched to its own.

        lengths: (N,) int64, steps of each.

        Returns:
            (lengths.sum(),) bool.
        """
        order = np.argsort(self.lengths, kind="stable")
        rising = self.lengths[order]
        near = _nearest(np.unique(rising), lengths)
        chosen = order[random.integers(np.searchsorted(rising, near), np.searchsorted(rising, near, side="right"))]
        step = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        stretch = (self.lengths[chosen] - 1) / np.maximum(lengths - 1, 1)
        begins = np.cumsum(self.lengths) - self.lengths
        place = np.repeat(begins[chosen], lengths) + np.rint(step * np.repeat(stretch, lengths)).astype(np.int64)
        return np.asarray(self.known[place])


def _nearest(rising: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return for each value the nearest of some rising numbers, of two the lower one."""
    after = np.minimum(np.searchsorted(rising, values), len(rising) - 1)
    before = np.maximum(after - 1, 0)
    return np.asarray(np.where(values - rising[before] <= rising[after] - values, rising[before], rising[after]))


def neighbours(known: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the known row of the same series next before each row, and next behind it; -1 where there is none.

    Args:
        known: (R,) bool, one series after the other.
        lengths: (N,) int64, rows of each series.

    Returns:
        (R,) int64 each.
    """
    count = len(known)
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    behind = np.repeat(np.cumsum(lengths), lengths)
    rows = np.arange(count)
    latest = np.maximum.accumulate(np.where(known, rows, -1))  # up to and with each row
    before = np.concatenate([[-1], latest[:-1]])
    soonest = np.minimum.accumulate(np.where(known, rows, count)[::-1])[::-1]
    after = np.concatenate([soonest[1:], [count]])
    return np.where(before >= first, before, -1), np.where(after < behind, after, -1)
