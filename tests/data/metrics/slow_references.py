"""Every metric again, by loops and definitions, as slow and as plain as can be.

Truth and prediction are lists of rows of one shape; w holds the rows' weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

Rows = Any  # (A, K) arrays


def cells(y: Rows, p: Rows, w: Rows) -> list[tuple[float, float, float]]:
    """Truth, prediction, weight of every value."""
    return [
        (float(t), float(q), float(v)) for ts, qs, v in zip(y, p, w, strict=True) for t, q in zip(ts, qs, strict=True)
    ]


def mean(loss: Callable[[float, float], float]) -> Callable[[Rows, Rows, Rows], float]:
    """The weighted mean of a loss over all values."""

    def score(y: Rows, p: Rows, w: Rows) -> float:
        each = cells(y, p, w)
        return math.fsum(v * loss(t, q) for t, q, v in each) / math.fsum(v for _, _, v in each)

    return score


def rooted(loss: Callable[[float, float], float]) -> Callable[[Rows, Rows, Rows], float]:
    """The root of it."""
    return lambda y, p, w: math.sqrt(mean(loss)(y, p, w))


def by_column(score: Callable[[Rows, Rows, Rows], float]) -> Callable[[Rows, Rows, Rows], float]:
    """The mean over columns of a score."""
    return lambda y, p, w: math.fsum(score(y[:, [k]], p[:, [k]], w) for k in range(y.shape[1])) / y.shape[1]


def median(y: Rows, p: Rows, w: Rows) -> float:
    """The median absolute error: unweighted."""
    each = sorted(abs(t - q) for t, q, _ in cells(y, p, w))
    half = len(each) // 2
    return each[half] if len(each) % 2 else (each[half - 1] + each[half]) / 2


def explained(y: Rows, p: Rows, w: Rows, zero_mean: bool = False) -> float:
    """R2 of all values, about their weighted mean or about zero."""
    each = cells(y, p, w)
    center = 0.0 if zero_mean else math.fsum(v * t for t, _, v in each) / math.fsum(v for _, _, v in each)
    return 1 - math.fsum(v * (t - q) ** 2 for t, q, v in each) / math.fsum(v * (t - center) ** 2 for t, _, v in each)


def average_ranks(values: list[float]) -> list[float]:
    """1-based ranks; equal values share the mean of theirs."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values
    ]


def spearman(y: Rows, p: Rows, w: Rows) -> float:
    """Pearson's correlation of average ranks, of one column."""
    a, b = (
        average_ranks([float(t) for t, _, _ in cells(y, p, w)]),
        average_ranks([float(q) for _, q, _ in cells(y, p, w)]),
    )
    ma, mb = sum(a) / len(a), sum(b) / len(b)
    both = math.fsum((i - ma) * (j - mb) for i, j in zip(a, b, strict=True))
    return both / math.sqrt(math.fsum((i - ma) ** 2 for i in a) * math.fsum((j - mb) ** 2 for j in b))


def of_classes(loss: Callable[[float, float], float]) -> Callable[[Rows, Rows, Rows], float]:
    """The weighted mean over rows of the sum over classes."""
    return lambda y, p, w: mean(loss)(y, p, w) * y.shape[1]


def entropy(t: float, q: float) -> float:
    """What a class adds to the cross entropy."""
    return -t * math.log(q) if t else 0.0


def binary_entropy(t: float, q: float) -> float:
    """Cross entropy of a 0 or 1."""
    return entropy(t, q) + entropy(1 - t, 1 - q)


def divergence(t: float, q: float) -> float:
    """What a class adds to the Kullback-Leibler divergence."""
    return t * math.log(t / q) if t else 0.0


def auc(y: Rows, p: Rows, w: Rows) -> float:
    """Weighted share of pairs (1, 0) in the right order; equal predictions are half right."""
    ones = [(q, v) for t, q, v in cells(y, p, w) if t == 1]
    zeros = [(q, v) for t, q, v in cells(y, p, w) if t == 0]
    right = math.fsum(v * u * (1.0 if a > b else 0.5 if a == b else 0.0) for a, v in ones for b, u in zeros)
    return right / (math.fsum(v for _, v in ones) * math.fsum(u for _, u in zeros))


def average_precision(y: Rows, p: Rows, w: Rows) -> float:
    """Sum over thresholds, falling, of precision times the step of recall."""
    each = cells(y, p, w)
    ones, points = math.fsum(v for t, _, v in each if t == 1), [(0.0, 1.0)]
    for threshold in sorted({q for _, q, _ in each}, reverse=True):
        above = [(t, v) for t, q, v in each if q >= threshold]
        right = math.fsum(v for t, v in above if t == 1)
        points.append((right / ones, right / math.fsum(v for _, v in above)))
    return math.fsum((here[0] - before[0]) * here[1] for before, here in pairwise(points))


def label(row: Rows) -> int:
    """The decided class, or rank, of a row."""
    values = [float(value) for value in row]
    return values.index(max(values)) if len(values) > 1 else max(0, math.floor(values[0] + 0.5))


def accuracy(y: Rows, p: Rows, w: Rows) -> float:
    """Weighted share of right labels."""
    right = math.fsum(v for ts, qs, v in zip(y, p, w, strict=True) if label(ts) == label(qs))
    return right / math.fsum(w)


def f1_of(true: list[int], said: list[int], w: Rows, which: int) -> float:
    """F1 of one label."""
    pairs = list(zip(true, said, w, strict=True))
    right = math.fsum(v for t, s, v in pairs if t == s == which)
    wrong = math.fsum(v for t, s, v in pairs if (t == which) != (s == which))
    return 2 * right / (2 * right + wrong) if right + wrong else 0.0


def f1(average: str) -> Callable[[Rows, Rows, Rows], float]:
    """F1 of labels that exclude each other, averaged."""

    def score(y: Rows, p: Rows, w: Rows) -> float:
        true, said = [label(row) for row in y], [label(row) for row in p]
        if average == "binary":
            return f1_of(true, said, w, 1)
        if average == "micro":
            return accuracy(y, p, w)
        known = sorted(set(true) | set(said))
        share = {each: math.fsum(v for t, v in zip(true, w, strict=True) if t == each) for each in known}
        weight = share if average == "weighted" else dict.fromkeys(known, 1.0)
        return math.fsum(weight[each] * f1_of(true, said, w, each) for each in known) / math.fsum(weight.values())

    return score


def mcc(y: Rows, p: Rows, w: Rows) -> float:
    """Correlation of the one-hot truth with the one-hot decision, over all classes (Gorodkin's definition)."""
    true, said = [label(row) for row in y], [label(row) for row in p]
    known, total = sorted(set(true) | set(said)), math.fsum(w)

    def covariance(a: list[int], b: list[int]) -> float:
        found = 0.0
        for each in known:
            x, z = [float(i == each) for i in a], [float(i == each) for i in b]
            mx, mz = (math.fsum(v * i for i, v in zip(of, w, strict=True)) / total for of in (x, z))
            found += math.fsum(v * (i - mx) * (j - mz) for i, j, v in zip(x, z, w, strict=True))
        return found

    return covariance(true, said) / math.sqrt(covariance(true, true) * covariance(said, said))


def qwk(y: Rows, p: Rows, w: Rows) -> float:
    """1 - squared distance of pairs / squared distance of all pairs of independent draws."""
    true, said, total = [label(row) for row in y], [label(row) for row in p], math.fsum(w)
    seen = math.fsum(v * (t - s) ** 2 for t, s, v in zip(true, said, w, strict=True)) / total
    chance = math.fsum(v * u * (t - s) ** 2 for t, v in zip(true, w, strict=True) for s, u in zip(said, w, strict=True))
    return 1 - seen / (chance / total**2)


def ones_like(y: Rows) -> np.ndarray:
    """Weights that are all one."""
    return np.ones(len(y))
