"""Baselines from known values anywhere in a series (data.known): the one before, and a line between the nearest two.

They have nothing to fit. R rows of the table, n of them predicted, K targets.
"""

from __future__ import annotations

import numpy as np

from foldline.data.known_masks import neighbours
from foldline.data.table import Table


def last(table: Table, rows: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Predict rows (n,) by the known value before them, else by that behind them, (n, K).

    otherwise: (K,) of series where nothing is known.
    """
    before, after = _values(table, rows)
    return np.asarray(np.where(np.isnan(before), np.where(np.isnan(after), otherwise, after), before))


def interpolated(table: Table, rows: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Predict rows (n,) on the line between the known values next to them, (n, K), by data.order; else as `last`."""
    time = table.frame[table.data.order].to_numpy().astype(np.float64)
    first, second = (time[near[rows]] for near in neighbours(table.observed, table.lengths))
    share = (time[rows] - first) / np.where(second > first, second - first, 1.0)
    before, after = _values(table, rows)
    between = before + share[:, None] * (after - before)
    return np.asarray(np.where(np.isnan(between), last(table, rows, otherwise), between))


def _values(table: Table, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the known values next before and behind rows (n,), (n, K) each; NaN where there is none."""
    near = neighbours(table.observed, table.lengths)
    before, after = (np.where(each[rows, None] >= 0, table.y[each[rows]], np.nan) for each in near)
    return before, after
