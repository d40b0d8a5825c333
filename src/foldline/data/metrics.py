"""The competition's metric, from a small registry.

A metric is a loss per value and a function of the mean loss: scores, slices and bootstraps then need only sums of
losses.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldline.core.errors import unknown

Array = np.ndarray


@dataclass(frozen=True)
class Metric:
    """A metric of which lower is better."""

    loss: Callable[[Array, Array], Array]  # of each value: (truth, prediction), (...) and (...) -> (...)
    finish: Callable[[float], float]  # mean loss -> score
    trained_by: str  # the head, and LightGBM's objective, with this loss: the default of models that name none

    def __call__(self, truth: Array, prediction: Array) -> float:
        """Score predictions against the truth, two arrays of one shape, over all their values in float64."""
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
    """Return the metric of that name.

    Raises:
        UserError: there is none; it lists them.
    """
    if name not in METRICS:
        raise unknown("metric", name, METRICS, "data.metric")
    return METRICS[name]


def key_of(name: str) -> dict[str, Any]:
    """Return what a cell's key holds of a metric that watches its training: its name, and what it computes."""
    chosen = metric(name)
    return {"name": name, "loss": _source_of(chosen.loss), "finish": _source_of(chosen.finish)}


def _source_of(function: Callable[..., Any]) -> str:
    """Return a function's text; of a built-in one its name: Python's own do not change their meaning."""
    return inspect.getsource(function).strip() if inspect.isfunction(function) else function.__qualname__


def interval(chosen: Metric, loss: Array, series: Array) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a score, the series taken as a random sample; NaN for a single series.

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
    # A mean loss is never below 0, and the root of less would be NaN.
    return chosen.finish(max(mean - half, 0.0)), chosen.finish(mean + half)
