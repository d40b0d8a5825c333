"""[post], steps after the blend: rounding to the targets' grid, and exact rows in place of predictions.

Where a score is reported, a grid is fitted, and the choice to use it is made, without the fold that is scored
(experiment/scoring.py). Exact rows are computed from the inputs and proven, so they need no such check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foldline.data.metrics import Metric
from foldline.data.target_grid import Grid, detect_grids


@dataclass(frozen=True, kw_only=True)
class PostConfig:
    """[post]: steps after the blend."""

    snap: bool = True  # round to the even grid of the training targets, where they lie on one and the score gains by it
    decode: bool = False  # put exact rows, read back from the inputs, in place of predictions (ventilator only)


def helpful_grids(truth: np.ndarray, predictions: np.ndarray, metric: Metric) -> list[Grid | None]:
    """Find the even grid of each target's true values, where rounding to it improves the metric on these rows.

    A squared error is least at the mean, which lies between grid values: rounding makes it worse more often than not.
    Targets are decided on one after the other, each beside the ones before as they were decided, and by the metric of
    all targets together: that is what the competition counts, however it weighs them.

    Args:
        truth, predictions: (R, K) of the rows that decide.
    """
    chosen: list[Grid | None] = [None] * truth.shape[1]
    if not len(truth):  # a single series: there are no others that could decide
        return chosen
    best = metric(truth, predictions)
    for target, grid in enumerate(detect_grids(truth)):
        if grid is None:
            continue
        tried = [*chosen[:target], grid, *chosen[target + 1 :]]
        score = metric(truth, snap(predictions, tried))
        if metric.is_better(score, best):
            chosen, best = tried, score
    return chosen


def paste(values: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Replace (..., 1) predictions by exact values (...), where those are not NaN."""
    return np.where(np.isnan(exact), values[..., 0], exact)[..., None]


def snap(values: np.ndarray, grids: Sequence[Grid | None]) -> np.ndarray:
    """Round (..., K) values to the grid of their target, where it has one."""
    return np.stack(
        [values[..., k] if grid is None else grid.snap(values[..., k]) for k, grid in enumerate(grids)], axis=-1
    )
