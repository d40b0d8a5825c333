"""MCRMSE of OpenVaccine: the mean of three columns' RMSE; the other two are submitted and not counted."""

import pandas as pd

SCORED = ["reactivity", "deg_Mg_pH10", "deg_Mg_50C"]
higher_is_better = False


def score(solution: pd.DataFrame, submission: pd.DataFrame, row_id_column_name: str) -> float:
    """Return the metric, in the answers' unit; lower is better."""
    return float((((solution[SCORED] - submission[SCORED]) ** 2).mean() ** 0.5).mean())
