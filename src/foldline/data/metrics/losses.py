"""Losses of values and of rows, (A, K) and (A, K) -> (A, K). Letters: A answers, K columns.

A loss of a whole row (of K classes) stands in each of the row's columns, so that the mean over all values is the mean
over rows, whatever the metric.
"""

from __future__ import annotations

import numpy as np

from foldline.core.errors import UserError
from foldline.data.metrics.options import Array

SLACK = 1e-4  # by which probabilities may leave 0 .. 1, and their sum 1: float32, and blends of float32


def absolute(truth: Array, prediction: Array) -> Array:
    """Absolute error."""
    return np.asarray(np.abs(truth - prediction))


def squared(truth: Array, prediction: Array) -> Array:
    """Squared error."""
    return np.asarray((truth - prediction) ** 2)


def of_rows(each: Array, columns: int) -> Array:
    """Write a loss of rows into each of their columns: (A,) -> (A, K)."""
    return np.repeat(each[:, None], columns, axis=1)


def cross_entropy(truth: Array, prediction: Array, exclusive: bool, clip: float) -> Array:
    """Minus the logarithm of the probability of what is true.

    Args:
        exclusive: the columns are classes, or shares that sum to one; else each is the probability of a 1.
        clip: probabilities are kept this far from 0 and 1.
    """
    from scipy.special import xlogy

    kept = np.clip(prediction, clip, 1 - clip)
    if exclusive:
        return of_rows(-xlogy(truth, kept).sum(axis=1), truth.shape[1])
    return np.asarray(-xlogy(truth, kept) - xlogy(1 - truth, 1 - kept))


def squared_distance(truth: Array, prediction: Array, exclusive: bool) -> Array:
    """Squared error of probabilities: of each column, or summed over classes (Brier 1950, Monthly Weather Rev. 78)."""
    each = squared(truth, prediction)
    return of_rows(each.sum(axis=1), truth.shape[1]) if exclusive else each


def divergence(truth: Array, prediction: Array, clip: float) -> Array:
    """Kullback-Leibler divergence of the predicted shares from the true ones; a share of 0 adds nothing."""
    from scipy.special import rel_entr

    return of_rows(rel_entr(truth, np.clip(prediction, clip, 1 - clip)).sum(axis=1), truth.shape[1])


def refuse_no_probabilities(prediction: Array, exclusive: bool, name: str) -> None:
    """Refuse what is no probability: a score of it would be wrong without a sign. NaN passes: its score is NaN.

    Raises:
        UserError: a value below 0 or above 1, or rows of classes that do not sum to one.
    """
    outside = (prediction < -SLACK) | (prediction > 1 + SLACK)
    if outside.any():
        raise UserError(
            f"{name} needs probabilities between 0 and 1, but got {prediction[outside][0]:g}: "
            "take a head that predicts probabilities, or a metric of ranks such as auc."
        )
    if exclusive and (off := np.abs(prediction.sum(axis=1) - 1) > SLACK).any():
        raise UserError(
            f"{name} needs probabilities that sum to one over the classes, but those of {off.sum()} of {len(off)} "
            f"answers do not: one sums to {prediction[off][0].sum():g}; divide each row by its sum."
        )
