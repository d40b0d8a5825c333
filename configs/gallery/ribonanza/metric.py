"""MAE of Ribonanza: truth between 0 and 1, where both experiments have a value and signal enough."""

import numpy as np
import pandas as pd

COLUMNS = ["reactivity_DMS_MaP", "reactivity_2A3_MaP"]
higher_is_better = False


def score(solution: pd.DataFrame, submission: pd.DataFrame, row_id_column_name: str) -> float:
    """Return the mean absolute error over both columns; rows without a value, or without SN_filter, are ignored.

    >>> truth = pd.DataFrame({"id": [0, 1], "reactivity_DMS_MaP": [1.5, 0.5], "reactivity_2A3_MaP": [-1, float("nan")]})
    >>> score(truth, truth.assign(reactivity_DMS_MaP=[1, 0], reactivity_2A3_MaP=[0.5, 0]), "id")
    0.25
    """
    truth, said = solution[COLUMNS].to_numpy(), submission[COLUMNS].to_numpy()
    counts = np.isfinite(truth).all(axis=1)
    if "SN_filter" in solution:
        counts &= solution["SN_filter"].to_numpy() == 1
    return float(np.abs(truth.clip(0, 1) - said)[counts].mean())
