"""Logistic regression for more series than ridge's decomposition takes; scikit-learn fits it, plain weights are kept.

Its penalty is the one of the smallest cross entropy on a tenth of the rows that is left out, of whole groups where rows
come in groups; then all rows are fitted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foldline.models.contract import Kind

SERVES = ("binary", "multiclass", "multilabel")
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # scikit-learn's C: of few penalties the best is as good as of many
LEFT_OUT = 0.1
STEPS = 200  # of L-BFGS at most


def fit(
    x: np.ndarray,
    y: np.ndarray,
    kind: Kind,
    seed: int,
    weight: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit on rows x (n, F) float32 and 0 or 1 in y (n, K): weights (F, K) float64 and intercepts (K,) of the logits.

    A class, or a label, that no row has, or every row, gets an intercept alone. The halves of the sigmoid's logit are
    returned for labels, because a decision counts twice there (calibration.py).

    Args:
        weight: (n,) how much a row counts; None: all alike.
        groups: (n,) number of each row's group; None: each row is its own.
    """
    held = _held(len(x), groups, np.random.default_rng([seed, 3]))
    if kind == "multiclass":
        return _fit_labels(x, y.argmax(axis=1), y.shape[1], held, weight)
    found = [_fit_labels(x, (column > 0.5).astype(int), 2, held, weight) for column in y.T]
    weights = np.stack([(both[:, 1] - both[:, 0]) / 2 for both, _ in found], axis=1)
    return weights, np.stack([(both[1] - both[0]) / 2 for _, both in found])


def _held(count: int, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Draw which of `count` rows are left out, (count,) bool: a tenth, at least one.

    Of groups those that together are no more, in a drawn order; where each is more, the smallest one.
    """
    held, most = np.zeros(count, dtype=bool), max(1, round(LEFT_OUT * count))
    if groups is None or (groups == groups[0]).all():
        held[rng.permutation(count)[:most]] = True
        return held
    names, sizes = np.unique(groups, return_counts=True)
    order = rng.permutation(len(names))
    taken = order[np.cumsum(sizes[order]) <= most]
    return np.isin(groups, names[taken if len(taken) else order[[sizes[order].argmin()]]])


def _fit_labels(
    x: np.ndarray, labels: np.ndarray, classes: int, held: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Fit one label of several classes, and lay out weights (F, classes) and intercepts of the softmax's logits."""
    known = np.unique(labels)
    weights, intercept = np.zeros((x.shape[1], classes)), np.full(classes, -30.0)  # e^-30: never
    if len(known) == 1:
        intercept[known] = 0.0
        return weights, intercept
    model = _model(_best(x, labels, held, weight)).fit(x, labels, sample_weight=weight)
    weights[:, known] = model.coef_.T if len(known) > 2 else np.outer(model.coef_[0], [-0.5, 0.5])
    intercept[known] = model.intercept_ if len(known) > 2 else model.intercept_[0] * np.array([-0.5, 0.5])
    return weights, intercept


def _best(x: np.ndarray, labels: np.ndarray, held: np.ndarray, weight: np.ndarray | None) -> float:
    """Choose C on the rows that are held out, where they and the others have all classes."""
    classes = np.unique(labels)
    if len(np.unique(labels[~held])) < len(classes):
        return STRENGTHS[len(STRENGTHS) // 2]
    losses = []
    for strength in STRENGTHS:
        model = _model(strength).fit(x[~held], labels[~held], sample_weight=None if weight is None else weight[~held])
        p = model.predict_proba(x[held])[np.arange(held.sum()), np.searchsorted(classes, labels[held])]
        losses.append(-np.average(np.log(p.clip(1e-15)), weights=None if weight is None else weight[held]))
    return STRENGTHS[int(np.argmin(losses))]


def _model(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=STEPS, tol=1e-4)
