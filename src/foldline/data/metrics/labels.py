"""Metrics of decided labels, all from one table of counts: C ranks or classes, true in rows and decided in columns.

They are computed here, not by scikit-learn, whose checks of every call would be most of a threshold search or a
bootstrap of small folds. tests/data/metrics holds them to scikit-learn's values.
"""

from __future__ import annotations

import numpy as np

from foldline.core.errors import UserError
from foldline.data.metrics import losses
from foldline.data.metrics.contract import Metric
from foldline.data.metrics.options import Answers, Array, Kind, MetricOptions, NotScorable

EXCLUSIVE: tuple[Kind, ...] = ("binary", "multiclass", "ordinal")


def decided(prediction: Array, answers: Answers) -> Array:
    """Decide labels as a metric does: (A, K) -> (A, K) of zeros and ones, or of whole ranks.

    The largest of the classes, the first where several are; 1 from a probability of 0.5 on; the nearest rank, the
    higher one in the middle, from 0 to classes - 1.
    """
    if answers.exclusive(prediction.shape[1]):
        return np.asarray(prediction.argmax(axis=1)[:, None] == np.arange(prediction.shape[1]), dtype=np.float64)
    last = answers.classes - 1 if answers.classes else None
    return np.asarray(np.clip(np.floor(prediction + 0.5), 0, last))


def accuracy(options: MetricOptions, answers: Answers) -> Metric:
    """Share of answers whose label is right; of several labels, the mean over labels."""

    def loss(truth: Array, prediction: Array) -> Array:
        wrong = truth != decided(prediction, answers)
        if answers.exclusive(truth.shape[1]):
            return losses.of_rows(wrong.any(axis=1).astype(np.float64), truth.shape[1])
        return np.asarray(wrong, dtype=np.float64)

    return _metric(loss=loss, finish=lambda mean: max(1.0 - mean, 0.0), kinds=(*EXCLUSIVE, "multilabel"))


def f1(options: MetricOptions, answers: Answers) -> Metric:
    """Harmonic mean of precision and recall: of the label 1 (binary), else the average over labels ("macro").

    As scikit-learn has it: 0/0 is 0, and classes that neither truth nor prediction has are left out of the mean; of
    several labels (multilabel) all count.
    """

    def compute(truth: Array, prediction: Array, weight: Array | None) -> float:
        columns = truth.shape[1]
        average = options.average or ("binary" if columns == 1 and answers.kind in ("", "binary") else "macro")
        if average == "binary" and (columns > 1 or truth.max() > 1):
            raise UserError("f1 with average = 'binary' needs one target of 0 and 1: take macro, micro or weighted.")
        if answers.kind == "multilabel":
            return _averaged(*_counts_of_columns(truth, decided(prediction, answers), weight), average, all_count=True)
        table = counts(truth, prediction, weight, answers)
        if average == "binary":
            return float(_f1(*_counts_of_classes(table))[1]) if len(table) > 1 else 0.0
        return _averaged(*_counts_of_classes(table), average, all_count=False)

    return _metric(compute=compute, kinds=(*EXCLUSIVE, "multilabel"), takes=("average",))


def mcc(options: MetricOptions, answers: Answers) -> Metric:
    """Matthews' correlation (for classes: Gorodkin 2004, Comput. Biol. Chem. 28); 0 where one side has one class."""

    def compute(truth: Array, prediction: Array, weight: Array | None) -> float:
        table = counts(truth, prediction, weight, answers)
        true, said, total = table.sum(axis=1), table.sum(axis=0), table.sum()
        spread = (total**2 - true @ true) * (total**2 - said @ said)
        alone = np.count_nonzero(true) < 2 or np.count_nonzero(said) < 2
        return 0.0 if alone else float((np.trace(table) * total - true @ said) / np.sqrt(spread))

    return _metric(compute=compute, kinds=EXCLUSIVE)


def qwk(options: MetricOptions, answers: Answers) -> Metric:
    """Quadratic weighted kappa (Cohen 1968, Psychol. Bull. 70): 1 - squared distance / that of independent labels.

    Classes count in the order of their columns.
    """

    def compute(truth: Array, prediction: Array, weight: Array | None) -> float:
        table = counts(truth, prediction, weight, answers)
        true, said, place = table.sum(axis=1), table.sum(axis=0), np.arange(len(table))
        distance = np.subtract.outer(place, place) ** 2
        by_chance = (distance * np.outer(true, said)).sum() / table.sum()
        if by_chance == 0:
            raise NotScorable("qwk needs two labels at least, but truth and predictions have one")
        return float(1 - (distance * table).sum() / by_chance)

    return _metric(compute=compute, kinds=("ordinal", "multiclass", "binary"))


def counts(truth: Array, prediction: Array, weight: Array | None, answers: Answers) -> Array:
    """Count, or sum the weights of, each pair of a true and a decided label: (C, C)."""
    if answers.exclusive(truth.shape[1]):
        true, said = truth.argmax(axis=1), prediction.argmax(axis=1)
    else:
        true, said = truth[:, 0].astype(np.int64), decided(prediction, answers)[:, 0].astype(np.int64)
    size = int(max(true.max(), said.max())) + 1
    return np.bincount(true * size + said, weights=weight, minlength=size**2).reshape(size, size).astype(np.float64)


def _counts_of_classes(table: Array) -> tuple[Array, Array, Array]:
    """Return what is right, said and true of each class, (C,) each."""
    return np.diag(table), table.sum(axis=0), table.sum(axis=1)


def _counts_of_columns(truth: Array, said: Array, weight: Array | None) -> tuple[Array, Array, Array]:
    """Return what is right, said and true of each label, (K,) each."""
    each = np.ones(len(truth)) if weight is None else weight
    return each @ (truth * said), each @ said, each @ truth


def _f1(right: Array, said: Array, true: Array) -> Array:
    both = said + true
    return np.asarray(np.divide(2 * right, both, out=np.zeros(len(both)), where=both > 0))


def _averaged(right: Array, said: Array, true: Array, average: str, all_count: bool) -> float:
    """Average F1 over labels. all_count: those that never occur, too."""
    if average == "micro":
        return float(_f1(*(part.sum(keepdims=True) for part in (right, said, true)))[0])
    each = _f1(right, said, true)
    if average == "weighted":
        return float(each @ true / true.sum()) if true.any() else 0.0
    return float(each[all_count | (said + true > 0)].mean())


def _metric(**fields: object) -> Metric:
    """Make a metric of labels."""
    given = {"loss": None, "finish": float, "trained_by": "bce", "needs": "labels", "higher_is_better": True, **fields}
    return Metric(**given)  # type: ignore[arg-type]
