"""From decisions to probabilities: one temperature, fitted on decisions about rows that were left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foldline.models.contract import Kind

Array = NDArray[np.float64]
SHARES = ("multiclass", "distribution")  # predictions sum to one
SLOPES = np.logspace(-2, 2, 161)  # of decisions that are -1 or 1 where they are sure: 1 / temperature


def probabilities(decisions: Array, slopes: Array, kind: Kind) -> Array:
    """Return probabilities (n, K) of decisions (n, K): softmax over classes, or the sigmoid of each column.

    slopes: (K,), one for each column; of classes all the same.
    """
    scaled = decisions * slopes
    if kind in SHARES:
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    return np.asarray(0.5 * (1 + np.tanh(scaled)))  # the sigmoid of twice the decision: softmax over -d and d


def slopes_of(decisions: Array, truth: Array, kind: Kind, weight: Array | None = None) -> Array:
    """Find the slopes, (K,), of the smallest cross entropy of left-out decisions (n, K) to the truth (n, K), 0 to 1.

    The truth is drawn towards the mean as by one more row of each class: where all decisions are right, the best slope
    would be infinite. weight: (n,) how much a row counts; None: all alike.
    """
    classes = truth.shape[1] if kind in SHARES else 2
    soft = (truth * len(truth) + 1) / (len(truth) + classes)
    losses = np.stack([_losses(probabilities(decisions, slope, kind), soft, kind, weight) for slope in SLOPES])
    if kind in SHARES:
        losses = np.broadcast_to(losses.sum(axis=1, keepdims=True), losses.shape)
    return np.asarray(SLOPES[losses.argmin(axis=0)])


def _losses(p: Array, truth: Array, kind: Kind, weight: Array | None) -> Array:
    p = p.clip(1e-12, 1 - 1e-12)
    loss = -truth * np.log(p)
    if kind not in SHARES:
        loss -= (1 - truth) * np.log1p(-p)
    return np.asarray(loss.mean(axis=0) if weight is None else np.average(loss, axis=0, weights=weight))
