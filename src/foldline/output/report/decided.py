"""What decided labels and probabilities are right about: counts, rates and curves, as arrays.

Letters: A scored answers, C classes, K columns. Truth and prediction are those of the task (data/task.py). A weight,
(A,), is how much each answer counts; None: all count as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

BINS = 10  # of the reliability diagram, of equal width
POINTS = 200  # most points of a curve on a page


def confusion(truth: np.ndarray, decided: np.ndarray, classes: int, weight: np.ndarray | None = None) -> np.ndarray:
    """Count answers by class and decision, or add up their weights: (C, C), true down and decided across.

    truth, decided: (A,) int64.
    """
    return np.bincount(truth * classes + decided, weight, classes * classes).reshape(classes, classes)


@dataclass(frozen=True)
class Rates:
    """How often each class is true, decided and right; all (C,)."""

    support: np.ndarray
    decided: np.ndarray
    right: np.ndarray

    @classmethod
    def of_counts(cls, counts: np.ndarray) -> Rates:
        """Read them off a confusion matrix. counts: (C, C)."""
        return cls(counts.sum(axis=1), counts.sum(axis=0), np.diagonal(counts))

    @classmethod
    def of_columns(cls, truth: np.ndarray, decided: np.ndarray, weight: np.ndarray | None = None) -> Rates:
        """Count the ones of each column, or add up their weights. truth, decided: (A, K) of 0 and 1."""
        each = np.ones(len(truth)) if weight is None else weight
        return cls(*(each @ ones for ones in (truth, decided, truth * decided)))

    @property
    def precision(self) -> np.ndarray:
        """Share of the decisions for a class that are right; NaN where there are none."""
        return _share(self.right, self.decided)

    @property
    def recall(self) -> np.ndarray:
        """Share of a class's answers that are found; NaN where there are none."""
        return _share(self.right, self.support)

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of precision and recall; 0 where nothing is right, NaN where the class is nowhere."""
        return _share(2 * self.right, self.support + self.decided)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


class Reliability(NamedTuple):
    """Answers by their probability; all (BINS,), NaN in a bin without any."""

    answers: np.ndarray  # their number, or the sum of their weights
    probability: np.ndarray  # mean of those that are predicted
    share: np.ndarray  # of answers that it happened in

    @property
    def gap(self) -> float:
        """Mean absolute difference of probability and share, by count: the expected calibration error."""
        there = self.answers > 0
        difference = np.abs(self.probability - self.share)[there]
        return float((difference * self.answers[there]).sum() / self.answers.sum())


def reliability(probability: np.ndarray, happened: np.ndarray, weight: np.ndarray | None = None) -> Reliability:
    """Sort answers into bins of equal width. probability, happened (0 or 1), weight: (n,)."""
    place = np.clip((probability * BINS).astype(np.int64), 0, BINS - 1)
    count = np.bincount(place, weight, BINS)
    each = 1.0 if weight is None else weight
    means = (_share(np.bincount(place, each * values, BINS), count) for values in (probability, happened))
    return Reliability(count, *means)


class Curves(NamedTuple):
    """ROC, precision and recall of one label, at thresholds; the points of the two curves are not the same."""

    false_rate: np.ndarray  # (n,) share of zeros taken for ones
    true_rate: np.ndarray  # (n,) share of ones that are found
    precision: np.ndarray  # (m,)
    recall: np.ndarray  # (m,)
    threshold: np.ndarray  # (m - 1,) of the first m - 1 precisions and recalls, rising
    auc: float
    average_precision: float

    @property
    def f1(self) -> np.ndarray:
        """F1 at each threshold, (m - 1,)."""
        precision, recall = self.precision[:-1], self.recall[:-1]
        return np.asarray(2 * precision * recall / np.maximum(precision + recall, 1e-300))


def curves(truth: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None = None) -> Curves | None:
    """Compute the curves of a label; None where all answers that count are alike. truth (0 or 1), prediction: (A,)."""
    from sklearn import metrics

    if weight is not None:  # an answer of no weight would have points of its own on a curve
        truth, prediction, weight = truth[weight > 0], prediction[weight > 0], weight[weight > 0]
    if len(np.unique(truth)) < 2:
        return None
    false_rate, true_rate, _ = metrics.roc_curve(truth, prediction, sample_weight=weight)
    precision, recall, threshold = metrics.precision_recall_curve(truth, prediction, sample_weight=weight)
    area = metrics.roc_auc_score(truth, prediction, sample_weight=weight)
    average = metrics.average_precision_score(truth, prediction, sample_weight=weight)
    return Curves(false_rate, true_rate, precision, recall, threshold, float(area), float(average))


def thinned(*curve: np.ndarray) -> list[np.ndarray]:
    """Keep POINTS points of a curve, both ends among them. curve: arrays of one length."""
    kept = np.unique(np.linspace(0, len(curve[0]) - 1, min(POINTS, len(curve[0]))).round().astype(int))
    return [values[kept] for values in curve]


def most_confused(counts: np.ndarray, most: int) -> list[tuple[int, int]]:
    """List the pairs (true, decided) of different classes that are confused most often. counts: (C, C)."""
    wrong = counts - np.diag(np.diagonal(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(place), len(counts)) for place in order]
    return [pair for pair in pairs if wrong[pair]]
