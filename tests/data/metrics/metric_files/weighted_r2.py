"""The weighted zero-mean R2 of several responders; the weight stands in the solution only."""

import kaggle_metric_utilities
import numpy as np
import pandas as pd


def _r2(solution: pd.DataFrame, submission: pd.DataFrame, weight: pd.Series) -> float:
    w = weight.to_numpy()[:, None]
    y, p = solution.to_numpy(), submission.to_numpy()
    return 1.0 - (w * (y - p) ** 2).sum() / (w * y**2).sum()


def score(solution: pd.DataFrame, submission: pd.DataFrame, row_id_column_name: str, weight_column_name: str) -> float:
    """One minus weighted squared error by weighted square.

    >>> solution = pd.DataFrame({"row": [0, 1], "a": [1.0, -2.0], "w": [1.0, 0.5]})
    >>> submission = pd.DataFrame({"row": [0, 1], "a": [1.0, -1.0]})
    >>> score(solution, submission, "row", "w")
    0.8333333333333334
    """
    del solution[row_id_column_name]
    del submission[row_id_column_name]
    weight = solution.pop(weight_column_name)
    if not (submission.index.equals(solution.index) and isinstance(solution.index, pd.RangeIndex)):
        raise kaggle_metric_utilities.HostVisibleError("The rows do not stand side by side.")
    assert all(solution.columns == submission.columns)
    if not np.isfinite(submission.to_numpy()).all():
        raise kaggle_metric_utilities.ParticipantVisibleError("Predictions must be finite.")
    return kaggle_metric_utilities.safe_call_score(_r2, solution, submission, weight=weight)
