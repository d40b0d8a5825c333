"""The even grid that a target's values lie on, where they do: what a classifying head and snapping need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Grid:
    """Even grid of one target: offset + step * k, k = 0 .. count - 1."""

    offset: float
    step: float
    count: int

    def snap(self, values: np.ndarray) -> np.ndarray:
        """Nearest grid value."""
        index = np.clip(np.round((values - self.offset) / self.step), 0, self.count - 1)
        return self.offset + self.step * index


def detect_grid(values: np.ndarray) -> Grid | None:
    """The even grid that all values lie on, or None.

    The step is the smallest gap between different values (those closer than 1e-7 of the range are one value, printed
    with fewer digits), refined by least squares. A grid must be crowded to count: fewer grid points than values, and
    at least 8 values on it.
    """
    distinct = np.unique(values.astype(np.float64))
    span = float(distinct[-1] - distinct[0])
    if span <= 0:
        return None
    distinct = distinct[np.concatenate([[True], np.diff(distinct) > 1e-7 * span])]
    step = float(np.diff(distinct).min()) if len(distinct) >= 8 else 0.0
    if step <= 0 or span / step > len(values):
        return None
    for _ in range(2):  # the first estimate is off by the rounding of one gap, the second by that of all
        index = np.round((distinct - distinct[0]) / step)
        step, offset = (float(value) for value in np.polyfit(index, distinct, 1))
    off = np.abs(distinct - (offset + step * index))
    return Grid(offset, step, int(index[-1]) + 1) if off.max() < 1e-5 * step else None


def detect_grids(y: np.ndarray) -> list[Grid | None]:
    """One grid (or None) for each target of y: (rows, K)."""
    return [detect_grid(y[:, k]) for k in range(y.shape[1])]
