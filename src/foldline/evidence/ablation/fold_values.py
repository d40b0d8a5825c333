"""One value a fold of any metric: its score there, or, where that is not defined in a fold, a jackknife value.

An AUC of a fold with one class, or the kappa of one with one label, does not exist. Then folds are pooled: the value of
fold f is

    score of all folds + (k - 1) * (mean over g of the score without fold g - score without fold f)

Their mean is the score of all folds together, and their spread is that of jackknife values (Efron & Stein 1981,
https://doi.org/10.1214/aos/1176345462), so that tests over folds work on them as on scores: for a mean of losses in
folds of equal size they are the folds' scores. A single value may lie outside the metric's range.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from foldline.data.metrics import NotScorable

Score = Callable[[np.ndarray], float]  # of some answers, (A,) bool; raises NotScorable

POOLED = (
    "The metric is not defined in a single fold, so that folds are pooled: scores are those of all folds together, and "
    "values of folds are jackknife values (they may lie outside the metric's range)."
)


def fold_values(score: Score, fold: np.ndarray, folds: Sequence[int], pool: bool = False) -> np.ndarray:
    """Compute (k,) values, one for each of some folds.

    Args:
        fold: (A,) the fold of each answer.
        pool: jackknife values; else scores.

    Raises:
        NotScorable: a fold has no score; if `pool`, all folds but one have none.
    """
    if not pool:
        return np.array([score(fold == number) for number in folds])
    inside = np.isin(fold, folds)
    whole = score(inside)
    if len(folds) < 2:
        return np.array([whole])
    without = np.array([score(inside & (fold != number)) for number in folds])
    return np.asarray(whole + (len(folds) - 1) * (without.mean() - without))


def either(values: Callable[[bool], np.ndarray]) -> tuple[np.ndarray, bool]:
    """Compute values by fold, or pooled where a fold has no score; and whether they are pooled.

    values: given whether to pool; it raises NotScorable as `fold_values` does.
    """
    try:
        return values(False), False
    except NotScorable:
        return values(True), True
