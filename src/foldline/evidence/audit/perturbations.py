"""Change some series of a table, strongly enough that everything which depends on them changes.

A column's values are replaced by other values of the same rows, with their ranks reversed and squared. Range, digits,
flags and an even grid stay; means, quantiles and correlations change. Columns that say which rows are scored stay: the
length of a series and its scored rows are given, not learnt.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from foldline.data.roles import DataConfig
from foldline.data.table import Table


def targets(table: Table, chosen: np.ndarray) -> pl.DataFrame:
    """Change the targets of some series in the table's frame. chosen: (N,) bool. Known starts stay: they are inputs."""
    return _warped(table, np.repeat(chosen, table.lengths) & ~table.observed, list(table.data.target))


def everything(table: Table, chosen: np.ndarray) -> pl.DataFrame:
    """Change inputs, times, static columns and (if there are any) targets of some series. chosen: (N,) bool."""
    data, kept = table.data, names_in_scored(table.data)
    numbers = [name for name in (*data.inputs, *data.target) if name in table.frame.columns and name not in kept]
    of_chosen = np.repeat(chosen, table.lengths)
    frame, rows = _warped(table, of_chosen, numbers), pl.lit(pl.Series(of_chosen))
    if data.order not in kept:
        frame = frame.with_columns(pl.when(rows).then(1.5 * pl.col(data.order)).otherwise(data.order).alias(data.order))
    return frame.with_columns(_rolled(table, chosen, name) for name in data.static if name not in kept)


def names_in_scored(data: DataConfig) -> set[str]:
    """The columns that say which rows are scored."""
    return set(pl.sql_expr(data.scored).meta.root_names()) if data.scored else set()


def _warped(table: Table, rows: np.ndarray, names: list[str]) -> pl.DataFrame:
    return table.frame.with_columns(_warped_column(table.frame[name], rows) for name in names)


def _warped_column(column: pl.Series, rows: np.ndarray) -> pl.Series:
    values = column.to_numpy().copy()
    values[rows] = warp(values[rows])
    return pl.Series(column.name, values)


def warp(values: np.ndarray) -> np.ndarray:
    """Replace (n, ...) values by others of the same set: rank r becomes rank (1 - r)^2, r from 0 to 1."""
    if values.ndim > 1:
        return np.stack([warp(column) for column in values.T], axis=-1)
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable") / max(1, len(values) - 1)
    place = np.round((1 - rank) ** 2 * (len(values) - 1)).astype(np.int64)
    return np.asarray(np.sort(values)[place])


def _rolled(table: Table, chosen: np.ndarray, name: str) -> pl.Series:
    """Shift a static column's values by one among the chosen series."""
    places = np.arange(len(table.lengths))
    places[chosen] = np.roll(places[chosen], 1)
    return table.frame[name].gather(np.repeat(table.starts[places], table.lengths)).alias(name)
