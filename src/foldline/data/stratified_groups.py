"""Folds of groups with the strata spread evenly: those of scikit-learn's StratifiedGroupKFold, a hundred times as fast.

scikit-learn (1.9.1) draws an order of the groups, puts those first whose strata are most unequal, and gives each to the
fold where the shares of the strata then differ least, computing all shares anew for each fold. Here only those change
which the group changes, in compiled code. Sums are taken in numpy's order, so that ties are decided alike, and so are
the folds (`./run.sh bench folds` measures it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

CHUNK = 1 << 24  # counts of groups x strata that are in memory at once
ABSOLUTE, RELATIVE = 1e-8, 1e-5  # numpy.isclose's: spreads that near are equal, and the smaller fold is taken
Function = TypeVar("Function", bound=Callable[..., Any])


def _compiled(function: Function) -> Function:
    try:
        compiled: Function = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder that could hold its cache
        compiled = numba.njit(nogil=True)(function)
    return compiled


def assign(groups: np.ndarray, strata: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Draw the fold of each series, (n,) int64, as StratifiedGroupKFold(k, shuffle=True, random_state=seed) does.

    Args:
        groups: (n,) numbers, none of which is split; at least k of them.
        strata: (n,) numbers.
    """
    group, stratum = (np.unique(each, return_inverse=True)[1] for each in (groups, strata))
    count, width = int(group.max()) + 1, int(stratum.max()) + 1
    drawn = np.arange(count)
    np.random.RandomState(seed).shuffle(drawn)
    pairs, counts = np.unique(group * width + stratum, return_counts=True)  # sorted: a group's strata lie together
    ends = np.searchsorted(pairs, np.arange(1, count + 1) * width)
    spread = _spreads(pairs, counts, ends, width)
    order = drawn[np.argsort(-spread[drawn], kind="stable")]
    fold: np.ndarray = _choose(order, ends, pairs % width, counts, np.bincount(stratum), k)
    return fold[group]


def _spreads(pairs: np.ndarray, counts: np.ndarray, ends: np.ndarray, width: int) -> np.ndarray:
    """Return the standard deviation of each group's counts over all strata."""
    step = max(1, CHUNK // width)
    found = []
    for first in range(0, len(ends), step):
        last = min(first + step, len(ends))
        inside = slice(ends[first - 1] if first else 0, ends[last - 1])
        table = np.zeros((last - first) * width)
        table[pairs[inside] - first * width] = counts[inside]
        found.append(table.reshape(last - first, width).std(axis=1))
    return np.concatenate(found)


@_compiled
def _choose(
    order: np.ndarray, ends: np.ndarray, strata: np.ndarray, counts: np.ndarray, totals: np.ndarray, k: int
) -> np.ndarray:
    """Give each group, in this order, to the fold where the strata are spread most evenly.

    Args:
        order: (G,) groups. ends: (G,) where each group ends in the next two.
        strata, counts: (pairs,) which strata a group has, and how many series of each.
        totals: (C,) series of each stratum.

    Returns:
        (G,) int64 fold of each group.
    """
    width = len(totals)
    inside = np.zeros((k, width))  # series of each stratum in each fold
    sizes = np.zeros(k)
    spread = np.zeros(width)  # of each stratum's shares over the folds
    tried = np.empty(width)
    fold = np.empty(len(order), dtype=np.int64)
    for group in order:
        first, last = ends[group - 1] if group else 0, ends[group]
        best, least, fewest = 0, np.inf, np.inf
        for place in range(k):
            tried[:] = spread
            for pair in range(first, last):
                stratum = strata[pair]
                inside[place, stratum] += counts[pair]
                tried[stratum] = _spread(inside[:, stratum] / totals[stratum], width == 1)
                inside[place, stratum] -= counts[pair]
            value = _sum(tried) / width
            equal = abs(value - least) <= ABSOLUTE + RELATIVE * abs(least) and least < np.inf
            if value < least or (equal and sizes[place] < fewest):
                best, least, fewest = place, value, sizes[place]
        fold[group] = best
        for pair in range(first, last):
            inside[best, strata[pair]] += counts[pair]
            sizes[best] += counts[pair]
            spread[strata[pair]] = _spread(inside[:, strata[pair]] / totals[strata[pair]], width == 1)
    return fold


@_compiled
def _spread(shares: np.ndarray, alone: bool) -> float:
    """Return the standard deviation of a column, (k,). alone: it is the only one, which numpy sums as one row."""
    k = len(shares)
    mean = (_sum(shares) if alone else _in_turn(shares)) / k
    squares = (shares - mean) * (shares - mean)
    return float(np.sqrt((_sum(squares) if alone else _in_turn(squares)) / k))


@_compiled
def _in_turn(values: np.ndarray) -> float:
    """Sum one after another, as numpy sums columns."""
    total = values[0]
    for value in values[1:]:
        total += value
    return float(total)


@_compiled
def _sum(values: np.ndarray) -> float:
    """Sum as numpy sums a row: in eight sums side by side, and in halves where it is long (pairwise summation)."""
    count = len(values)
    if count < 8:
        return _in_turn(values)
    if count > 128:
        half = count // 2
        half -= half % 8
        return _sum(values[:half]) + _sum(values[half:])
    parts = values[:8].copy()
    whole = count - count % 8
    for first in range(8, whole, 8):
        parts += values[first : first + 8]
    total = ((parts[0] + parts[1]) + (parts[2] + parts[3])) + ((parts[4] + parts[5]) + (parts[6] + parts[7]))
    for value in values[whole:]:
        total += value
    return float(total)
