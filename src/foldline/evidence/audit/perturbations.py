"""Change some series of a table, strongly enough that everything which depends on them changes.

A column's values are replaced by other values of the same rows, with their ranks reversed and squared. Range, digits,
flags and an even grid stay; means, quantiles and correlations change. Columns that say which rows are scored stay: the
length of a series and its scored rows are given, not learnt. So do groups, which make the folds, and missing targets.

A label becomes the next one of those that are there, so that no class is lost; shares move on by a column. One answer a
series stays one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from foldline.data.roles import DataConfig
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.data.task import SHARES


def targets(table: Table, chosen: np.ndarray) -> pl.DataFrame:
    """Change the targets of some series in the table's frame, auxiliary ones too: those of a known start stay.

    chosen: (N,) bool.
    """
    frame = _own_targets(table, chosen)
    for each in table.data.auxiliary:
        alone = replace(table, data=table.data.of_auxiliary(each), frame=frame)
        frame = _own_targets(alone, chosen)
    return frame


def _own_targets(table: Table, chosen: np.ndarray) -> pl.DataFrame:
    """Change the columns of data.target of some series in the table's frame. chosen: (N,) bool."""
    data, names = table.data, list(table.data.target)
    rows = np.repeat(chosen, table.lengths) & ~table.observed
    if data.kind == "distribution":  # the same values, so that no row sums to 0
        moved = [table.frame[name].alias(before) for before, name in zip(names[-1:] + names[:-1], names, strict=True)]
        return table.frame.with_columns(_where(rows, column, table.frame[column.name]) for column in moved)
    if not table.task.on_series:
        return table.frame.with_columns(_changed(data, table.frame[name], rows) for name in names)
    last, series = table.starts + table.lengths - 1, np.repeat(np.arange(len(table.lengths)), table.lengths)
    changed = [_changed(data, table.frame[name].gather(last), chosen) for name in names]
    return table.frame.with_columns(column.gather(series) for column in changed)


def _changed(data: DataConfig, column: pl.Series, rows: np.ndarray) -> pl.Series:
    """Change some values of a target's column. rows: (n,) bool."""
    rows = rows & column.is_not_null().to_numpy()
    if data.kind == "regression":
        return _warped_column(column, rows)
    return _next_level(column, rows)


def _next_level(column: pl.Series, rows: np.ndarray) -> pl.Series:
    """Turn some values into the next one of those that are there; a missing one stays. rows: (n,) bool."""
    there = column.filter(pl.Series(rows)).unique().drop_nulls().sort()
    if there.is_empty():
        return column
    after = pl.concat([there[1:], there[:1]])
    return _where(rows, column.replace(there, after), column)


def _where(rows: np.ndarray, column: pl.Series, otherwise: pl.Series) -> pl.Series:
    """Take some rows of one column and the others of another. rows: (n,) bool."""
    return column.zip_with(pl.Series(rows), otherwise).alias(otherwise.name)


def answers(store: Store, chosen: np.ndarray) -> np.ndarray:
    """Change the truth of some series: (A, K), as `targets` changes the frame. chosen: (N,) bool."""
    y, task = np.array(store.y), store.task
    rows = chosen[store.series_of_answer]
    if task.kind == "regression":
        y[rows] = warp(y[rows])
    elif task.kind in SHARES:
        y[rows] = np.roll(y[rows], 1, axis=1)
    else:  # ranks, or 0 and 1
        y[rows] = (y[rows] + 1) % (task.classes if task.kind == "ordinal" else 2)
    return y


def everything(table: Table, chosen: np.ndarray) -> pl.DataFrame:
    """Change inputs, times, static columns and (if there are any) targets of some series. chosen: (N,) bool."""
    data, kept = table.data, names_in_scored(table.data)
    numbers = [name for name in data.numeric_inputs if name in table.frame.columns and name not in kept]
    of_chosen = np.repeat(chosen, table.lengths)
    frame, rows = _warped(table, of_chosen, numbers), pl.lit(pl.Series(of_chosen))
    there = [name for name in data.target if name in table.frame.columns and name not in kept]
    if table.labelled:
        every = [*there, *data.auxiliary_columns]
        frame = frame.with_columns(targets(_all_to_be_changed(table), chosen).select(every))
    elif there:  # the known start of a test table
        frame = frame.with_columns(_warped_column(frame[name], of_chosen) for name in there)
    if data.order not in kept:
        frame = frame.with_columns(pl.when(rows).then(1.5 * pl.col(data.order)).otherwise(data.order).alias(data.order))
    codes = [name for name in data.categorical_inputs if name not in kept]
    frame = frame.with_columns(_next_level(frame[name], of_chosen) for name in codes)
    return frame.with_columns(
        _rolled(table, chosen, name) for name in data.static if name not in kept and name != data.group
    )


def _all_to_be_changed(table: Table) -> Table:
    """The same table without known targets: these may change, too."""
    if table.data.known_column:
        return replace(table, frame=table.frame.with_columns(pl.lit(0).alias(table.data.known_column)))
    return replace(table, data=replace(table.data, observed=0, target_transform=""), given=None)


def names_in_scored(data: DataConfig) -> set[str]:
    """The columns that say which rows are scored."""
    return set(pl.sql_expr(data.scored).meta.root_names()) if data.scored else set()


def _warped(table: Table, rows: np.ndarray, names: list[str]) -> pl.DataFrame:
    return table.frame.with_columns(_warped_column(table.frame[name], rows) for name in names)


def _warped_column(column: pl.Series, rows: np.ndarray) -> pl.Series:
    values = column.to_numpy().copy()
    rows = rows & ~np.isnan(values)  # what is missing stays so
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
