"""Folds with about as many rows each: for groups of very unequal size, where as many groups each would not do."""

from __future__ import annotations

import numpy as np

UNEVEN = 1.25  # rows of the largest fold, as a multiple of an even share, from which on rows are balanced, too


def is_uneven(assignment: np.ndarray, rows: np.ndarray, k: int) -> bool:
    """Return whether a fold has far more rows than its share. assignment, rows: (n,) of each series."""
    return largest_share(assignment, rows, k) > UNEVEN


def largest_share(assignment: np.ndarray, rows: np.ndarray, k: int) -> float:
    """Return the rows of the largest fold as a multiple of an even share."""
    return float(np.bincount(assignment, rows, k).max() * k / rows.sum())


def balanced(groups: np.ndarray, strata: np.ndarray, rows: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Assign groups to folds such that each has about as many rows, series, and series of each stratum.

    The largest group first, each goes to the fold that has least of all three by then (longest processing time first,
    Graham 1969, https://doi.org/10.1137/0117039); equal ones come in a drawn order.

    Args:
        groups: (n,) number of each series' group. strata: (n,) number of its stratum. rows: (n,) of each series, at
            least 1.

    Returns:
        (n,) int64 fold of each series.
    """
    number = np.unique(groups, return_inverse=True)[1]
    rows_of = np.bincount(number, rows)
    drawn = np.random.default_rng(seed).permutation(len(rows_of))
    order = drawn[np.argsort(-rows_of[drawn], kind="stable")]
    by_group = np.argsort(number, kind="stable")
    ends = np.cumsum(np.bincount(number))
    share_of_stratum = 1 / np.bincount(strata)
    load, of_stratum = np.zeros(k), np.zeros((strata.max() + 1, k))
    fold = np.empty(len(rows_of), dtype=np.int64)
    for group in order:
        members = by_group[ends[group - 1] if group else 0 : ends[group]]
        own, counts = np.unique(strata[members], return_counts=True)
        chosen = int(np.argmin(load + counts @ of_stratum[own] / len(members)))
        fold[group] = chosen
        load[chosen] += rows_of[group] / rows.sum() + len(members) / len(rows)
        of_stratum[own, chosen] += counts * share_of_stratum[own]
    return fold[number]
