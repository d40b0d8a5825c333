"""The competition's metric, from a small registry.

A metric is a loss per value and a way to finish its mean, so that one pass over per-series sums serves scores,
slices and bootstraps alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foldline.errors import unknown

Array = np.ndarray


@dataclass(frozen=True)
class Metric:
    """`loss(truth, prediction)` per value, `finish(mean loss)`; lower is better."""

    loss: Callable[[Array, Array], Array]
    finish: Callable[[float], float]

    def __call__(self, truth: Array, prediction: Array) -> float:
        """Score of two arrays of one shape, over all their values; float64."""
        return self.finish(float(np.mean(self.loss(truth.astype(np.float64), prediction.astype(np.float64)))))


METRICS: dict[str, Metric] = {
    "mae": Metric(lambda y, p: np.abs(y - p), float),
    "mse": Metric(lambda y, p: (y - p) ** 2, float),
    "rmse": Metric(lambda y, p: (y - p) ** 2, lambda mean: float(np.sqrt(mean))),
}


def metric(name: str) -> Metric:
    """The metric of that name, or an error that lists them."""
    if name not in METRICS:
        raise unknown("metric", name, METRICS, "data.metric")
    return METRICS[name]
