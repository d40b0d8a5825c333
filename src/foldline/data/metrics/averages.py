"""Means over answers, columns, classes and groups. Letters: A answers, K columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from foldline.data.metrics.options import Array, Compute, MetricOptions, NotScorable


def weighted_mean(values: Array, weight: Array | None) -> float:
    """Mean of values by their weights. values, weight: (A,)."""
    return float(np.mean(values) if weight is None else np.dot(values, weight) / weight.sum())


def of_values(weight: Array | None, columns: int) -> Array | None:
    """Give each value the weight of its answer: (A,) -> (A * K,), in the order of `ravel`."""
    return None if weight is None else np.repeat(weight, columns)


def over_parts(
    scores: Iterable[Callable[[], float]], shares: Sequence[float] | Array | None, undefined: str, what: str
) -> float:
    """Mean of several scores, plain or by shares; those without a score are an error or left out.

    Args:
        scores: of each part, to be called.
        shares: of the parts, not below 0; None: all alike. Where all that remain are 0 there is no score.
        undefined: "refuse" or "skip".
        what: the parts, for the message: "classes".

    Raises:
        NotScorable: a part has no score and that is refused, or none of them has one.
    """
    found, places, missing = [], [], list[NotScorable]()
    for place, score in enumerate(scores):
        try:
            found.append(score())
            places.append(place)
        except NotScorable as error:
            missing.append(error)
    if len(missing) == 1 and not found:
        raise missing[0]
    if missing and undefined == "refuse":
        raise NotScorable(
            f"{len(missing)} of {len(missing) + len(found)} {what} have no score ({missing[0]}): score all folds "
            "together, or leave these out by the metric's option undefined = 'skip'."
        ) from missing[0]
    weight = np.ones(len(found)) if shares is None else np.asarray(shares, dtype=np.float64)[places]
    if not weight.sum() > 0:
        raise NotScorable(f"None of {len(missing) + len(found)} {what} has a score.")
    return float(np.dot(found, weight) / weight.sum())


def over_columns(compute: Compute, default: str, options: MetricOptions) -> Compute:
    """Make of a score of values one of columns: of all values pooled, or the mean of the columns' scores.

    Args:
        compute: scores (A,) values.
        default: "pooled" or "mean", where options.columns names none.
    """

    def score(truth: Array, prediction: Array, weight: Array | None) -> float:
        if (options.columns or default) == "pooled":
            return compute(truth.ravel(), prediction.ravel(), of_values(weight, truth.shape[1]))
        each = [_column(compute, truth, prediction, weight, column) for column in range(truth.shape[1])]
        return over_parts(each, None, options.undefined, "columns")

    return score


def over_classes(compute: Compute, options: MetricOptions) -> Compute:
    """Make of a score of one class against the rest one of all: their mean ("macro"), by their number, or pooled.

    Args:
        compute: scores (A,) values of one class.
    """

    def score(truth: Array, prediction: Array, weight: Array | None) -> float:
        if options.average == "micro":
            return compute(truth.ravel(), prediction.ravel(), of_values(weight, truth.shape[1]))
        each = [_column(compute, truth, prediction, weight, column) for column in range(truth.shape[1])]
        if len(each) == 1:
            return each[0]()
        positives = truth.sum(axis=0) if weight is None else weight @ truth
        return over_parts(each, positives if options.average == "weighted" else None, options.undefined, "classes")

    return score


def over_groups(compute: Compute, options: MetricOptions, groups: Array) -> Compute:
    """Make of a score the mean of the groups' scores, plain or by the sum of their weights. groups: (A,)."""

    def score(truth: Array, prediction: Array, weight: Array | None) -> float:
        order = np.argsort(groups, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(np.unique(groups, return_inverse=True)[1][order])) + 1)
        each = [_rows(compute, truth, prediction, weight, rows) for rows in parts]
        sums = [float(len(rows) if weight is None else weight[rows].sum()) for rows in parts]
        return over_parts(each, sums if options.groups == "weighted" else None, options.undefined, "groups")

    return score


def _column(compute: Compute, truth: Array, prediction: Array, weight: Array | None, k: int) -> Callable[[], float]:
    return lambda: compute(truth[:, k], prediction[:, k], weight)


def _rows(compute: Compute, truth: Array, prediction: Array, weight: Array | None, rows: Array) -> Callable[[], float]:
    return lambda: compute(truth[rows], prediction[rows], None if weight is None else weight[rows])
