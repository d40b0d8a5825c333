"""What is done to blended predictions: snapping to the target's grid, and exact rows in their place.

Whatever is fitted here is fitted on the series outside a fold when its effect on a score is reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class PostConfig:
    """[post]: steps after the blend."""

    snap: bool = True  # round to the even grid of the training targets, where they lie on one
    decode: bool = False  # put exact rows, read back from the inputs, in place of predictions (ventilator only)


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


def paste(values: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """(..., 1) predictions with exact ones (...) in their place, where those are not NaN."""
    return np.where(np.isnan(exact), values[..., 0], exact)[..., None]


def snap(values: np.ndarray, grids: list[Grid | None]) -> np.ndarray:
    """(..., K) values, each target snapped to its grid where it has one."""
    return np.stack(
        [values[..., k] if grid is None else grid.snap(values[..., k]) for k, grid in enumerate(grids)], axis=-1
    )


def detect_grids(y: np.ndarray) -> list[Grid | None]:
    """One grid (or None) for each target of y: (rows, K)."""
    return [detect_grid(y[:, k]) for k in range(y.shape[1])]
