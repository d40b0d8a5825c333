"""The competition's metric, from a small registry.

A metric is a loss per value and a way to finish its mean, so that one pass over per-series sums serves scores,
slices and bootstraps alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldline.core.errors import unknown

Array = np.ndarray


@dataclass(frozen=True)
class Metric:
    """`loss(truth, prediction)` per value, `finish(mean loss)`; lower is better."""

    loss: Callable[[Array, Array], Array]
    finish: Callable[[float], float]
    trained_by: str  # the head, and LightGBM's objective, whose loss this is; what models have unless they name one

    def __call__(self, truth: Array, prediction: Array) -> float:
        """Score of two arrays of one shape, over all their values; float64."""
        return self.finish(float(np.mean(self.loss(truth.astype(np.float64), prediction.astype(np.float64)))))

    def is_better(self, score: float, other: float) -> bool:
        """Return whether a score is better than another one; equal ones are not."""
        return score < other


METRICS: dict[str, Metric] = {
    "mae": Metric(lambda y, p: np.abs(y - p), float, "l1"),
    "mse": Metric(lambda y, p: (y - p) ** 2, float, "l2"),
    "rmse": Metric(lambda y, p: (y - p) ** 2, lambda mean: float(np.sqrt(mean)), "l2"),
}
NORMAL = 1.96  # standard errors on either side of a 95 % interval


def metric(name: str) -> Metric:
    """The metric of that name, or an error that lists them."""
    if name not in METRICS:
        raise unknown("metric", name, METRICS, "data.metric")
    return METRICS[name]


def key_of(name: str) -> dict[str, Any]:
    """Return what a cell's key holds of a metric that watches its training: all that its scores depend on."""
    return {"name": name}


def interval(chosen: Metric, loss: Array, series: Array) -> tuple[float, float]:
    """Ends of the 95 % interval of a score, its series taken as drawn at random; NaN for a single one.

    The mean loss is a ratio (sum over series of losses, by that of values), whose error is that of its linearisation:
    Cochran 1977, Sampling Techniques, 3rd ed., sec. 6.3.

    Args:
        loss: (R, K) of each value.
        series: (R,) int64, the number of each row's series.
    """
    rows, sums = np.bincount(series), np.bincount(series, weights=loss.sum(axis=1))
    sums, counts = sums[rows > 0], rows[rows > 0] * loss.shape[1]
    if len(sums) < 2:
        return float("nan"), float("nan")
    mean = sums.sum() / counts.sum()
    spread = len(sums) / (len(sums) - 1) * ((sums - mean * counts) ** 2).sum()
    half = NORMAL * np.sqrt(spread) / counts.sum()
    return chosen.finish(max(mean - half, 0.0)), chosen.finish(mean + half)
