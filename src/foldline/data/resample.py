"""[data.resample], data.first and data.last: series of fewer steps than their files have rows.

Everything behind the data border sees these steps and only these: features, models, audit. All that is no input is
constant in a series with one answer, or that of its last row, which the last step has. Steps are counted from the first
row of their series, so that none depends on another series. Folds by time go by the times of all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from foldline.data import time_steps
from foldline.data.resample_config import ResampleConfig
from foldline.data.roles import DataConfig
from foldline.data.table import Table

Summed = Callable[[np.ndarray, np.ndarray], np.ndarray]


def applied(table: Table) -> Table:
    """Return a checked table of series with one answer each as [data] wants it: resampled, then cropped.

    Raises:
        UserError: a step is a duration where the order is numbers; gaps make far too many steps.
    """
    data, whole = table.data, table.lengths
    if data.resample is not None:
        table = _resampled(table, data.resample)
    if data.first or data.last:
        table = _cropped(table, data.first, data.last)
    return replace(table, rows_read=whole)


@dataclass(frozen=True)
class _Steps:
    """S steps of a table, series after series."""

    begin: np.ndarray  # (S,) int64, the first row of each
    rows: np.ndarray  # (S,) int64, the last row of each; where it has none, of the step before
    empty: np.ndarray  # (S,) bool, whether it has no row
    number: np.ndarray  # (S,) int64, in its series from 0
    lengths: np.ndarray  # (N,) int64


def _resampled(table: Table, config: ResampleConfig) -> Table:
    data, order = table.data, table.frame[table.data.order].to_numpy()
    what = f"{table.path}: data.resample.every"
    time_steps.refuse_duration(what, config.every, data.order, table.of_dates)
    number = time_steps.numbers_of(table.since_first, config.every)
    time_steps.refuse_too_many(
        what, config.every, number, table.lengths, config.gaps, lambda series: f"{data.key} {table.keys[series]}"
    )
    steps = _steps(table, number.astype(np.int64), config)
    frame = table.frame[steps.rows]
    times = order[table.starts].repeat(steps.lengths) + steps.number * config.length
    columns = [pl.Series(data.order, times)]
    for name in _summed(data):
        how = SUMMARIES[config.summary.get(name, "mean")]
        values = np.full(len(steps.rows), np.nan)
        values[~steps.empty] = how(table.frame[name].to_numpy(), steps.begin[~steps.empty])
        columns.append(pl.Series(name, values))
    for name in data.categorical_inputs:
        found = _most_frequent(table.frame[name], steps.begin[~steps.empty])
        columns.append(found.gather(np.maximum(np.cumsum(~steps.empty) - 1, 0)).set(pl.Series(steps.empty), None))
    return _of_rows(replace(table, frame=frame.with_columns(columns), lengths=steps.lengths), table, steps.rows)


def _steps(table: Table, number: np.ndarray, config: ResampleConfig) -> _Steps:
    """Find the steps that there are. number: (rows,) of the step of each row, in its series."""
    new = np.ones(len(number), dtype=bool)
    new[1:] = number[1:] != number[:-1]
    new[table.starts] = True
    begin = np.flatnonzero(new)
    lengths = np.add.reduceat(new, table.starts, dtype=np.int64)
    rows, number = np.append(begin[1:], len(new)) - 1, number[begin]
    if config.gaps == "left-out":
        return _Steps(begin, rows, np.zeros(len(begin), dtype=bool), number, lengths)
    first = np.cumsum(lengths) - lengths
    following = np.append(number[1:], 0)
    following[first[1:] - 1] = 0
    following[-1] = 0
    repeats = np.maximum(following - number, 1)  # a step, and the empty ones behind it
    since = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    each = np.repeat(np.arange(len(begin)), repeats)
    return _Steps(
        begin[each], rows[each], since > 0, number[each] + since, np.add.reduceat(repeats, first, dtype=np.int64)
    )


def _cropped(table: Table, first: int, last: int) -> Table:
    """Keep the first or the last steps of each series, as many as it has."""
    kept = np.minimum(table.lengths, first or last)
    begin = table.starts if first else table.starts + table.lengths - kept
    ends = np.cumsum(kept)
    rows = np.arange(ends[-1]) - np.repeat(ends - kept, kept) + np.repeat(begin, kept)
    return _of_rows(replace(table, frame=table.frame[rows], lengths=kept), table, rows)


def _of_rows(steps: Table, table: Table, rows: np.ndarray) -> Table:
    """Let the last step of each series have all of its series' last row but the inputs and the order.

    Only metric and id columns may differ inside a series. rows: (S,) row of each step.
    """
    data, rows = table.data, rows.copy()
    rows[np.cumsum(steps.lengths) - 1] = np.cumsum(table.lengths) - 1
    own = {data.order, *_summed(data), *data.categorical_inputs}
    others = [name for name in table.frame.columns if name not in own]
    return replace(
        steps,
        frame=steps.frame.with_columns(table.frame.select(others)[rows]),
        naming=None if table.naming is None else table.naming[rows],
    )


def _summed(data: DataConfig) -> list[str]:
    """List the inputs that are summed up; a weight that is one is constant."""
    return [name for name in data.numeric_inputs if name != data.weight]


def _mean(values: np.ndarray, begin: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    count = np.add.reduceat(known, begin, dtype=np.int64)
    total = np.add.reduceat(np.where(known, values, 0.0), begin)
    return np.asarray(np.divide(total, count, out=np.full(len(begin), np.nan), where=count > 0))


def _sum(values: np.ndarray, begin: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    total = np.add.reduceat(np.where(known, values, 0.0), begin)
    return np.where(np.logical_or.reduceat(known, begin), total, np.nan)


def _median(values: np.ndarray, begin: np.ndarray) -> np.ndarray:
    step = np.repeat(np.arange(len(begin)), np.diff(begin, append=len(values)))
    ordered = values[np.lexsort((values, step))]  # NaN comes last
    count = np.add.reduceat(~np.isnan(values), begin, dtype=np.int64)
    low, high = (ordered[begin + np.maximum(place, 0)] for place in ((count - 1) // 2, count // 2))
    return np.where(count > 0, low + (np.where(count % 2, low, high) - low) / 2, np.nan)


def _first(values: np.ndarray, begin: np.ndarray) -> np.ndarray:
    rows = np.where(np.isnan(values), len(values), np.arange(len(values)))
    place = np.minimum.reduceat(rows, begin)
    return np.asarray(np.append(values, np.nan)[place])


def _last(values: np.ndarray, begin: np.ndarray) -> np.ndarray:
    rows = np.where(np.isnan(values), -1, np.arange(len(values)))
    return np.asarray(np.append(values, np.nan)[np.maximum.reduceat(rows, begin)])


SUMMARIES: dict[str, Summed] = {  # of (rows,) values, NaN where missing, and the first row of each step: (S,)
    "mean": _mean,
    "median": _median,
    "sum": _sum,
    "min": lambda values, begin: np.fmin.reduceat(values, begin),
    "max": lambda values, begin: np.fmax.reduceat(values, begin),
    "first": _first,
    "last": _last,
}


def _most_frequent(values: pl.Series, begin: np.ndarray) -> pl.Series:
    """Return the most frequent value of each step, (S,); of equals the least one, null where all are missing."""
    step = np.repeat(np.arange(len(begin)), np.diff(begin, append=len(values)))
    counted = (
        pl.DataFrame({"step": step, "value": values}).drop_nulls().group_by("step", "value", maintain_order=True).len()
    )
    best = counted.sort("len", "value", descending=[True, False]).unique("step", keep="first", maintain_order=True)
    steps = pl.DataFrame({"step": np.arange(len(begin))})
    return steps.join(best, on="step", how="left", maintain_order="left")["value"].alias(values.name)
