"""What is done to blended predictions: snapping to the target's grid, and exact rows in their place.

Whatever is fitted here is fitted on the series outside a fold when its effect on a score is reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foldline.data.metrics import Metric
from foldline.data.target_grid import Grid, detect_grids


@dataclass(frozen=True, kw_only=True)
class PostConfig:
    """[post]: steps after the blend."""

    snap: bool = True  # round to the even grid of the training targets, where they lie on one and the score gains by it
    decode: bool = False  # put exact rows, read back from the inputs, in place of predictions (ventilator only)


def helpful_grids(truth: np.ndarray, values: np.ndarray, metric: Metric) -> list[Grid | None]:
    """Find, for each target, the even grid of its true values, where snapping to it lowers the metric on these rows.

    A squared error is least at the mean, which lies off the grid: there a step like this one harms more often than not.

    Args:
        truth, values: (R, K) targets and their predictions, of the rows that may decide.
    """
    grids = detect_grids(truth)
    return [
        grid if grid is not None and _gains(truth[:, k], values[:, k], grid, metric) else None
        for k, grid in enumerate(grids)
    ]


def _gains(truth: np.ndarray, values: np.ndarray, grid: Grid, metric: Metric) -> bool:
    return metric(truth, grid.snap(values)) < metric(truth, values)


def paste(values: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """(..., 1) predictions with exact ones (...) in their place, where those are not NaN."""
    return np.where(np.isnan(exact), values[..., 0], exact)[..., None]


def snap(values: np.ndarray, grids: list[Grid | None]) -> np.ndarray:
    """(..., K) values, each target snapped to its grid where it has one."""
    return np.stack(
        [values[..., k] if grid is None else grid.snap(values[..., k]) for k, grid in enumerate(grids)], axis=-1
    )
