"""Labels that teachers give: probabilities as they are, sharpened or aligned; or classes; of the surest answers.

Sources: temperature, Hinton, Vinyals & Dean 2015, https://arxiv.org/abs/1503.02531; the surest share of each class
instead of one threshold for all, Zou et al. 2018, https://arxiv.org/abs/1810.07911; class shares made those of the
labelled series, the "distribution alignment" of Berthelot et al. 2020, https://arxiv.org/abs/1911.09785, here fitted
until they are met.

a answers, K columns, C classes. `kind` is that of the target (data/task.py).
"""

from __future__ import annotations

import numpy as np

from foldline.data.metrics import labels
from foldline.data.metrics.options import Answers

LEAST = 1e-12  # probability that logarithms begin at
TURNS, CLOSE = 200, 1e-9  # of the alignment: at most so many, until shares differ by less
ROWS_FROM = 0.01  # probability from which a class gets a row of its own where labels must be whole
OF_PROBABILITIES = ("binary", "multilabel", "multiclass")  # kinds whose predictions are probabilities of labels
WITH_CLASSES = ("binary", "multiclass", "ordinal")  # kinds whose answers are of one class each


def tempered(predicted: np.ndarray, temperature: float, kind: str) -> np.ndarray:
    """Return probabilities (a, K) to the power 1 / temperature, divided by their sum; of two labels p and 1 - p."""
    if temperature == 1:
        return predicted
    if kind == "multiclass":
        return _normalised(predicted.clip(LEAST) ** (1 / temperature))
    yes, no = (each.clip(LEAST) ** (1 / temperature) for each in (predicted, 1 - predicted))
    return np.asarray(yes / (yes + no))


def aligned(predicted: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Weigh classes such that their mean probabilities are given shares: (a, K) -> (a, K).

    shares: (C,) of the classes, their sum 1; of a binary target those of 0 and of 1. A class that no answer has any
    probability of keeps none.
    """
    p = _of_classes(predicted)
    for _ in range(TURNS):
        mean = p.mean(axis=0)
        if np.abs(mean - shares).max() < CLOSE:
            break
        weighted = p * np.divide(shares, mean, out=np.zeros_like(mean), where=mean > 0)
        lost = ~weighted.any(axis=1)  # all its probability is of classes without a share: it stays as it is
        p = _normalised(np.where(lost[:, None], p, weighted))
    return p if predicted.shape[1] > 1 else p[:, 1:]


def surest(predicted: np.ndarray, share: float, kind: str, classes: int) -> np.ndarray:
    """Choose the surest answers of each class, (a,) bool: at least so large a share of those predicted to be of it.

    As each class keeps the same share of its answers, the shares of classes stay as predicted. How sure an answer is:
    the probability of its class; of ranks, how near the expected rank is to one. The first ones where several are
    alike.
    """
    if kind == "ordinal":
        own, sure = _ranks(predicted, classes), -np.abs(predicted[:, 0] - _ranks(predicted, classes))
    else:
        p = _of_classes(predicted)
        own, sure = p.argmax(axis=1), p.max(axis=1)
    chosen = np.zeros(len(predicted), dtype=bool)
    for number in np.unique(own):
        members = np.flatnonzero(own == number)
        order = np.argsort(-sure[members], kind="stable")
        chosen[members[order[: int(np.ceil(share * len(members)))]]] = True
    return chosen


def decided(predicted: np.ndarray, kind: str, classes: int) -> np.ndarray:
    """Return the labels that a metric would decide on, (a, K): 1 of the class of the largest share, whole ranks."""
    return labels.decided(predicted, Answers(kind, classes))  # type: ignore[arg-type]


def as_rows(y: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Write answers between classes as rows of one class each, weighed by their probability.

    A mean of losses over these rows is the cross entropy on the probabilities; classes below 0.01 are left out.

    Args:
        y: (a, K) probabilities, of a binary target (a, 1).
        weight: (a,) of the answers.

    Returns:
        Which answer each row is of, (r,) int64, its label (r, K) of zeros and ones, and its weight (r,).
    """
    p = _of_classes(y)
    p = _normalised(np.where(p < min(ROWS_FROM, 1 / p.shape[1]), 0.0, p))
    answer, number = np.nonzero(p)
    label = np.eye(p.shape[1])[number]
    return answer, label if y.shape[1] > 1 else label[:, 1:], weight[answer] * p[answer, number]


def _of_classes(predicted: np.ndarray) -> np.ndarray:
    """Return the probability of each class, (a, C): of a binary target (a, 1) those of 0 and of 1."""
    return np.concatenate([1 - predicted, predicted], axis=1) if predicted.shape[1] == 1 else predicted


def _normalised(p: np.ndarray) -> np.ndarray:
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _ranks(predicted: np.ndarray, classes: int) -> np.ndarray:
    return decided(predicted, "ordinal", classes)[:, 0]
