"""Truth and prediction of each kind of target, at random."""

from __future__ import annotations

import numpy as np

RANKS = 4
KINDS = ("regression", "binary", "multilabel", "multiclass", "distribution", "ordinal")


def drawn(kind: str, seed: int = 0, answers: int = 60, columns: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction, (A, K) each; ties among predictions, all classes in the truth. Numbers are above 0."""
    rng = np.random.default_rng(seed)
    if kind == "regression":
        truth = rng.gamma(2.0, size=(answers, columns)) + 0.1
        return truth, np.round(np.abs(truth + rng.normal(size=truth.shape)), 1)
    if kind == "ordinal":
        truth = (np.arange(answers) % RANKS)[:, None].astype(np.float64)
        return truth, np.clip(truth + rng.normal(size=truth.shape), -0.4, RANKS - 0.6)
    if kind in ("binary", "multilabel"):
        truth = (rng.random((answers, 1 if kind == "binary" else columns)) < 0.4).astype(np.float64)
        return truth, np.clip(np.round(0.25 + 0.3 * truth + 0.4 * rng.random(truth.shape), 2), 0.01, 0.99)
    prediction = rng.dirichlet(np.ones(columns), answers)
    truth = rng.dirichlet(np.ones(columns), answers)
    truth[::7, 0] = 0.0  # some classes have no share at all
    truth /= truth.sum(axis=1, keepdims=True)
    if kind == "distribution":
        return truth, 0.5 * truth + 0.5 * prediction
    one_hot = np.eye(columns)[np.arange(answers) % columns]
    return one_hot, 0.35 * one_hot + 0.65 * prediction
