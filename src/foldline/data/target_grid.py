"""The even grid that a target's values lie on, if they do: for heads that classify, and for snapping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Grid:
    """Even grid of one target: offset + step * k for k = 0 .. count - 1, in the target's unit."""

    offset: float
    step: float
    count: int

    def snap(self, values: np.ndarray) -> np.ndarray:
        """Return the nearest grid value of each value, (...) float64."""
        index = np.asarray(values - self.offset)
        index /= self.step  # in place: of a million series a copy is large
        np.round(index, out=index)
        np.clip(index, 0, self.count - 1, out=index)
        index *= self.step
        index += self.offset
        return index


def detect_grid(values: np.ndarray) -> Grid | None:
    """Detect the even grid that all values, (n,), lie on; None: there is none, or there are no values.

    The step is the smallest gap between different values (those closer than 1e-7 of the range are one value, printed
    with fewer digits), refined by least squares. It counts as a grid only if it has fewer
    points than there are values, and at least 8 of them are used.
    """
    distinct = np.unique(values.astype(np.float64))
    if not len(distinct):
        return None
    span = float(distinct[-1] - distinct[0])
    if span <= 0:
        return None
    distinct = distinct[np.concatenate([[True], np.diff(distinct) > 1e-7 * span])]
    step = float(np.diff(distinct).min()) if len(distinct) >= 8 else 0.0
    if step <= 0 or span / step > len(values):
        return None
    for _ in range(2):  # one gap has the error of two rounded values; a fit of all averages that out
        index = np.round((distinct - distinct[0]) / step)
        step, offset = (float(value) for value in np.polyfit(index, distinct, 1))
    off = np.abs(distinct - (offset + step * index))
    # Values printed with few digits are off by their rounding; those of no grid are off by a large part of the step.
    return Grid(offset, step, int(index[-1]) + 1) if off.max() < 1e-5 * step else None


def detect_grids(y: np.ndarray) -> list[Grid | None]:
    """Detect the grid of each target of y, (rows, K); None: it has none."""
    return [detect_grid(y[:, k]) for k in range(y.shape[1])]
