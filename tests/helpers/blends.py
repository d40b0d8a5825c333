"""Rows for tests of blending: members with known errors, in four folds of short series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foldline.data import metrics
from foldline.data.metrics import METRICS
from foldline.ensemble import BlendRows


def rows(predictions: np.ndarray, y: np.ndarray, metric: str = "mae", folds: int = 4, steps: int = 5) -> BlendRows:
    """Members m0, m1, ...; series of `steps` rows, assigned to the folds in turn. predictions: (M, R, K), y: (R, K)."""
    series = np.arange(len(y)) // steps
    labels = tuple(f"m{number}" for number in range(len(predictions)))
    return BlendRows(
        labels=labels, predictions=predictions, y=y, fold=series % folds, series=series, metric=METRICS[metric]
    )


def noisy(members: int = 3, count: int = 240, targets: int = 1, seed: int = 0, metric: str = "mae") -> BlendRows:
    """Truth and noise: a part that all members share, and a part of their own that grows from member to member."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(count, targets))
    own = rng.laplace(size=(members, count, targets)) * np.linspace(0.4, 1.0, members)[:, None, None]
    return rows(y + 0.3 * rng.normal(size=(count, targets)) + own, y, metric)


def probabilities(members: int = 3, count: int = 240, targets: int = 1, seed: int = 0) -> BlendRows:
    """Truth of 0 and 1, and members that are sure of it to different degrees."""
    made = noisy(members, count, targets, seed)
    metric = METRICS["log_loss"] if targets == 1 else metrics.metric("log_loss", kind="multilabel")
    predictions = 1 / (1 + np.exp(-2 * made.predictions))
    kind = "binary" if targets == 1 else "multilabel"
    return replace(made, predictions=predictions, y=(made.y > 0).astype(float), metric=metric, kind=kind)


def fitting(method: str, targets: int = 1) -> BlendRows:
    """Rows that a method can blend: probabilities for one that averages log odds, ranks for ranks, else numbers."""
    if method == "rank":
        return noisy(targets=targets, metric="spearman")
    return probabilities(targets=targets) if method == "logit" else noisy(targets=targets)
