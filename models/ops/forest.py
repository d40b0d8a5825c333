"""Extremely randomised trees, kept as plain arrays: fitted by scikit-learn, applied by numpy.

Source: Geurts, Ernst & Wehenkel 2006, https://doi.org/10.1007/s10994-006-6226-1. All nodes of all trees lie one after
the other. A fitted forest is the same for any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foldline.models.contract import Kind

ARRAYS = ("roots", "feature", "threshold", "left", "right", "value")
ROWS = 4096  # that go down the trees at once


def fit(
    x: np.ndarray,
    y: np.ndarray,
    kind: Kind,
    *,
    trees: int,
    share: float,
    seed: int,
    threads: int,
    weight: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Grow trees on x (n, F) float32 to leaves that hold one answer.

    Args:
        y: (n, K) truth (models/contract.py): by entropy for labels, one of which is right; by squares for the rest.
        share: of the features that each split draws, and of each draws one threshold.
        seed: of all draws.
        weight: (n,), above 0; None: all alike.

    Returns:
        roots (trees,) int64; feature, left, right (nodes,) int64, -1 in leaves; threshold (nodes,); value (nodes, K):
        the mean truth of a node.
    """
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    shared: dict[str, Any] = {"max_features": share, "random_state": seed, "n_jobs": threads}
    if kind in ("binary", "multiclass"):
        codes = y.argmax(axis=1) if kind == "multiclass" else y[:, 0].round().astype(int)
        forest: Any = ExtraTreesClassifier(trees, criterion="entropy", **shared).fit(x, codes, weight)
        seen = forest.classes_
    else:
        forest = ExtraTreesRegressor(trees, **shared).fit(x, y if y.shape[1] > 1 else y[:, 0], weight)
        seen = None
    grown = [each.tree_ for each in forest.estimators_]
    counts = np.array([tree.node_count for tree in grown])
    roots = np.cumsum(counts) - counts
    found = {"roots": roots.astype(np.int64)}
    for name, source in (("left", "children_left"), ("right", "children_right")):
        parts = [getattr(tree, source) for tree in grown]
        found[name] = np.concatenate(
            [np.where(part < 0, -1, part + root) for part, root in zip(parts, roots, strict=True)]
        )
    found["feature"] = np.concatenate([np.where(tree.feature < 0, -1, tree.feature) for tree in grown]).astype(np.int64)
    found["threshold"] = np.concatenate([tree.threshold for tree in grown])
    means = np.concatenate([_means(tree.value, seen) for tree in grown])
    found["value"] = means if seen is None else _columns(means, seen, y.shape[1])
    return found


def _means(value: np.ndarray, seen: np.ndarray | None) -> np.ndarray:
    """Return (nodes, K) of a tree's (nodes, 1, classes) shares, or (nodes, K, 1) means."""
    return value[:, 0, :] if seen is not None else value[:, :, 0]


def _columns(shares: np.ndarray, seen: np.ndarray, targets: int) -> np.ndarray:
    """Put shares of the classes that were seen into their columns; a binary target has one, the share of 1."""
    wide = np.zeros((len(shares), max(targets, 2)))
    wide[:, seen] = shares
    return wide[:, 1:] if targets == 1 else wide


def predict(forest: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Return the mean of the leaves, (n, K) float64, that rows (n, F) float32 end in."""
    found = np.empty((len(x), forest["value"].shape[1]))
    for begin in range(0, len(x), ROWS):
        rows = x[begin : begin + ROWS]
        node = np.broadcast_to(forest["roots"], (len(rows), len(forest["roots"])))
        while True:
            feature = forest["feature"][node]
            inner = feature >= 0
            if not inner.any():
                break
            low = np.take_along_axis(rows, np.where(inner, feature, 0), axis=1) <= forest["threshold"][node]
            node = np.where(inner, np.where(low, forest["left"][node], forest["right"][node]), node)
        found[begin : begin + ROWS] = forest["value"][node].mean(axis=1)
    return found
