"""Blending: weights over models from out-of-fold predictions, scored nested, so that no row helps to weigh itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from foldline.metrics import Metric

CLIMBS = 50  # picks of the hill climb: weights are multiples of 1/50


@dataclass(frozen=True, kw_only=True)
class BlendConfig:
    """[blend]: how the models' predictions become one."""

    method: Literal["mean", "median", "hill-climb"] = "hill-climb"


@dataclass(frozen=True)
class Blend:
    """A fitted blend of M models; `weights` sum to 1 and are None for the median."""

    method: str
    labels: tuple[str, ...]
    weights: tuple[float, ...] | None

    def apply(self, predictions: np.ndarray) -> np.ndarray:
        """(M, ...) predictions of the models, in the order of `labels` -> (...)."""
        if self.weights is None:
            return np.asarray(np.median(predictions, axis=0))
        return np.tensordot(np.asarray(self.weights), predictions, axes=1)


def fit(config: BlendConfig, labels: tuple[str, ...], predictions: np.ndarray, y: np.ndarray, metric: Metric) -> Blend:
    """Fit on out-of-fold predictions of scored rows.

    Args:
        predictions: (M, R, K).
        y: (R, K).
    """
    count = len(labels)
    if config.method == "median":
        return Blend("median", labels, None)
    if config.method == "mean" or count == 1:
        return Blend("mean", labels, (1 / count,) * count)
    return Blend("hill-climb", labels, tuple(climb(predictions, y, metric)))


def climb(predictions: np.ndarray, y: np.ndarray, metric: Metric) -> list[float]:
    """Greedy selection with replacement: add the model that helps the mean most, 50 times; the best prefix counts.

    Source: Caruana et al. 2004, https://doi.org/10.1145/1015330.1015432.
    """
    picks: list[int] = []
    scores: list[float] = []
    total = np.zeros_like(y, dtype=np.float64)
    for size in range(1, CLIMBS + 1):
        tried = [metric(y, (total + member) / size) for member in predictions]
        picks.append(int(np.argmin(tried)))
        scores.append(tried[picks[-1]])
        total += predictions[picks[-1]]
    best = int(np.argmin(scores)) + 1
    return [picks[:best].count(member) / best for member in range(len(predictions))]


def nested(
    config: BlendConfig,
    labels: tuple[str, ...],
    predictions: np.ndarray,
    y: np.ndarray,
    fold: np.ndarray,
    metric: Metric,
) -> np.ndarray:
    """(R, K) blended out-of-fold predictions: each fold by a blend that was fitted on the other folds.

    Args:
        predictions: (M, R, K).
        y: (R, K).
        fold: (R,) the fold of each row's series.
    """
    blended = np.empty(y.shape)
    for number in np.unique(fold):
        inside = fold == number
        fitted = fit(config, labels, predictions[:, ~inside], y[~inside], metric)
        blended[inside] = fitted.apply(predictions[:, inside])
    return blended
