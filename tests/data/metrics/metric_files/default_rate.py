"""A ranking metric of credit defaults: half the normalised weighted Gini, half the share of defaults found on top.

As the competition's page describes American Express's; written anew. A row without a default counts 20 times.
"""

import numpy as np
import pandas as pd
import pandas.api.types


class ParticipantVisibleError(Exception):
    pass


WEIGHT = 20.0


def _gini(target: np.ndarray, order: np.ndarray) -> float:
    target = target[order]
    weight = np.where(target == 1, 1.0, WEIGHT)
    shares = np.cumsum(weight) / weight.sum()
    lorentz = np.cumsum(target * weight) / (target * weight).sum()
    return float(((lorentz - shares) * weight).sum())


def score(solution: pd.DataFrame, submission: pd.DataFrame, row_id_column_name: str, top: float = 0.04) -> float:
    """Mean of the Gini and of the share of defaults among the first 4 % by weight.

    >>> import pandas as pd
    >>> solution = pd.DataFrame({"id": [0, 1, 2, 3], "default": [1, 0, 0, 1]})
    >>> submission = pd.DataFrame({"id": [0, 1, 2, 3], "default": [0.9, 0.2, 0.1, 0.8]})
    >>> score(solution.copy(), submission.copy(), "id", top=0.5)
    1.0
    >>> score(solution.copy(), submission.assign(default="high"), "id")
    Traceback (most recent call last):
    ...
    ParticipantVisibleError: The prediction must be a number.
    """
    del solution[row_id_column_name]
    del submission[row_id_column_name]
    column = submission.columns[0]
    if not pandas.api.types.is_numeric_dtype(submission[column]):
        raise ParticipantVisibleError("The prediction must be a number.")
    target = solution[column].to_numpy()
    order = np.argsort(-submission[column].to_numpy(), kind="stable")
    weight = np.where(target[order] == 1, 1.0, WEIGHT)
    first = np.cumsum(weight) <= int(top * weight.sum())
    found = target[order][first].sum() / target.sum()
    best = np.argsort(-target, kind="stable")
    return float(0.5 * (_gini(target, order) / _gini(target, best) + found))
