"""AMEX's metric: the mean of a Gini coefficient and of the share of defaults that the top 4 % hold."""

import numpy as np
import pandas as pd

NEGATIVE = 20  # weight of a customer who does not default: only one in twenty of them is in the files
TOP = 0.04  # of the weight
higher_is_better = True


def score(solution: pd.DataFrame, submission: pd.DataFrame, row_id_column_name: str) -> float:
    """Return the metric, at most 1. Of equal predictions the one that comes first in the file counts as higher.

    The top 4 % hold one of these two defaults, whose weights are 1 of 42:

    >>> solution = pd.DataFrame({"customer_ID": list("abcd"), "target": [1, 1, 0, 0]})
    >>> score(solution, solution.assign(target=[0.9, 0.8, 0.2, 0.1]), "customer_ID")
    0.75
    >>> round(score(solution, solution.assign(target=[0.1, 0.2, 0.8, 0.9]), "customer_ID"), 3)
    -1.326
    """
    names = [name for name in submission.columns if name != row_id_column_name]
    truth, prediction = (frame[names[0]].to_numpy() for frame in (solution, submission))
    if len(np.unique(truth)) < 2:
        raise ValueError("there must be customers who default, and others who do not")
    ranked = truth[np.argsort(-prediction, kind="stable")]
    return float((_gini(ranked) / _gini(np.sort(truth)[::-1]) + _captured(ranked)) / 2)


def _gini(ranked: np.ndarray) -> float:
    """Return the weighted Gini coefficient, up to a factor. ranked: the truth, from the highest prediction down."""
    weight = np.where(ranked == 1, 1, NEGATIVE)
    return float(((ranked.cumsum() / ranked.sum() - weight.cumsum() / weight.sum()) * weight).sum())


def _captured(ranked: np.ndarray) -> float:
    """Return the share of the defaults that lies within the top of the weight."""
    weight = np.where(ranked == 1, 1, NEGATIVE)
    return float(ranked[weight.cumsum() <= int(TOP * weight.sum())].sum() / ranked.sum())
