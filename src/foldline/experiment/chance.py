"""Predictions that know nothing, to see whether a metric is defined on some answers."""

from __future__ import annotations

import numpy as np

from foldline.data.metrics import Metric
from foldline.data.store import Store


def score(scored_by: Metric, train: Store, answers: np.ndarray) -> float:
    """Score answers by predictions between their truth and its mean, in another order. answers: (a,) int64.

    Raises:
        NotScorable: the metric is not defined on them.
    """
    truth = np.asarray(train.y[answers])
    guess = shuffled(truth, halfway=scored_by.needs == "probabilities")
    return scored_by(truth, guess, *train.beside(scored_by, answers))


def shuffled(truth: np.ndarray, halfway: bool) -> np.ndarray:
    """Return the truth in another order, (a, K). halfway: to its mean, so that shares are shares and none is 0."""
    other = truth[np.random.default_rng(0).permutation(len(truth))]
    return np.asarray((other + truth.mean(axis=0)) / 2) if halfway else other
