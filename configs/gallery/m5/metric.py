"""WRMSSE of M5: sums at twelve levels, errors by the usual change from day to day, weighed by what is earned."""

import numpy as np
import pandas as pd

LEVELS = 12
higher_is_better = False


def score(solution: pd.DataFrame, submission: pd.DataFrame, row_id_column_name: str) -> float:
    """Return the metric; lower is better. Each series has as many days."""
    error = solution["sales"].to_numpy() - submission["sales"].to_numpy()
    day, dollars = solution["day"].to_numpy(dtype=int), solution["dollars"].to_numpy(dtype=float)
    day, total = day - day.min(), 0.0
    for level in range(1, LEVELS + 1):
        of, scale = solution[f"of{level}"].to_numpy(dtype=int), solution[f"scale{level}"].to_numpy(dtype=float)
        groups, days = of.max() + 1, day.max() + 1
        shape, cell, rows = (groups, days), of * days + day, np.maximum(np.bincount(of), 1)
        sums = np.bincount(cell, error, groups * days).reshape(shape)
        counted = (np.bincount(cell, minlength=groups * days).reshape(shape) > 0).sum(axis=1)
        usual = np.bincount(of, scale) / rows
        scaled = (sums**2).sum(axis=1) / np.maximum(counted, 1) / np.where(usual > 0, usual, 1.0)
        total += float((np.bincount(of, dollars) / dollars.sum() * np.sqrt(scaled)).sum())
    return total / LEVELS
