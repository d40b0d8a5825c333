"""[post], steps after the blend: rounding to the targets' grid, ranked and exact rows in place of predictions.

Rounding to decimals and sums of one are in tidying.py, decisions on labels in decisions.py.

Where a score is reported, a grid is fitted, and the choice to use it is made, without the fold that is scored
(experiment/scoring.py). Exact rows are computed from the inputs and proven, so they need no such check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foldline.data.metrics import Metric, NotScorable
from foldline.data.target_grid import Grid, detect_grids

NEWER = ("ranked",)  # keys that older versions did not have: a record has them where they are used


@dataclass(frozen=True, kw_only=True)
class PostConfig:
    """[post]: steps after the blend."""

    clip: tuple[float, ...] = ()  # [low, high] that predictions are brought to, in the targets' unit; empty: none
    snap: bool = True  # round to the even grid of the training targets, where they lie on one and the score gains by it
    decimals: int | None = None  # numbers: round to so many, where the score gains; 0: to whole numbers; left out: no
    renormalise: bool = (
        False  # divide each row by its sum: shares always, numbers that sum to one where the score gains
    )
    always: bool = False  # take these two steps whether or not the score gains by them
    thresholds: bool = True  # binary, multilabel: fit the probability from which on a label is 1, where the score gains
    thresholds_by: str = ""  # static column: a threshold for each of its values, for which the score gains by it
    cut_points: bool = True  # ordinal: fit the values between which a rank is taken, where the score gains by it
    class_factors: bool = True  # multiclass: fit factors of the probabilities before the largest is taken, likewise
    evaluations: int = 200  # of the metric, that each search for these takes at most
    seed: int = 0  # of these searches
    decode: bool = False  # put exact rows, read back from the inputs, in place of predictions (ventilator only)
    ranked: bool = False  # put what an estimator settles of open rows in place of predictions (models with a smoother)
    # Refuse a submission whose scored numbers are unlike training's: far outside, all the same, or of too few digits.
    check_range: bool = True

    def __post_init__(self) -> None:
        if self.clip and (len(self.clip) != 2 or not self.clip[0] < self.clip[1]):
            raise ValueError(f"clip must be [low, high], the first below the second, but is {list(self.clip)}")
        if self.always and self.decimals is None and not self.renormalise:
            raise ValueError("always is about decimals and renormalise, but neither is given")
        if self.thresholds_by and not self.thresholds:
            raise ValueError(f"thresholds_by = {self.thresholds_by!r} needs thresholds, which are switched off")
        if self.evaluations < 1 or self.seed < 0:
            raise ValueError(
                f"evaluations must be at least 1 and seed at least 0, but are {self.evaluations}, {self.seed}"
            )


def helpful_grids(
    truth: np.ndarray,
    predictions: np.ndarray,
    metric: Metric,
    weight: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> list[Grid | None]:
    """Find the even grid of each target's true values, where rounding to it improves the metric on these rows.

    A squared error is least at the mean, which lies between grid values: rounding makes it worse more often than not.
    Targets are decided on one after the other, each beside the ones before as they were decided, and by the metric of
    all targets together: that is what the competition counts, however it weighs them.

    Args:
        truth, predictions: (R, K) of the rows that decide.
        weight, groups: (R,) as the metric takes them.
    """
    chosen: list[Grid | None] = [None] * truth.shape[1]
    if not len(truth):  # a single series: there are no others that could decide
        return chosen
    best = _score(truth, predictions, metric, weight, groups)
    for target, grid in enumerate(detect_grids(truth)):
        if grid is None:
            continue
        tried = [*chosen[:target], grid, *chosen[target + 1 :]]
        score = _score(truth, snap(predictions, tried), metric, weight, groups)
        if metric.is_better(score, best):
            chosen, best = tried, score
    return chosen


def _score(
    truth: np.ndarray, values: np.ndarray, metric: Metric, weight: np.ndarray | None, groups: np.ndarray | None
) -> float:
    """Score values, (R, K); NaN where the metric is not defined on them, as a correlation of one value."""
    try:
        return metric(truth, values, weight, groups)
    except NotScorable:
        return float("nan")


def paste(values: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Replace (..., 1) predictions by exact values (...), where those are not NaN."""
    return np.where(np.isnan(exact), values[..., 0], exact)[..., None]


def clip(values: np.ndarray, limits: tuple[float, ...]) -> np.ndarray:
    """Bring values to [low, high]; limits: these two, or none."""
    return np.clip(values, limits[0], limits[1]) if limits else values


def snap(values: np.ndarray, grids: Sequence[Grid | None]) -> np.ndarray:
    """Round (..., K) values to the grid of their target, where it has one."""
    return np.stack(
        [values[..., k] if grid is None else grid.snap(values[..., k]) for k, grid in enumerate(grids)], axis=-1
    )
