"""data.scored: a SQL condition that says of each row, by that row's own values, whether the metric counts it.

A condition that looks at other rows (max, a window) would be another one in each file, and one that divides by zero is
true for every row: both are refused.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError, unknown
from foldline.data.packed_files import PANIC, reason
from foldline.data.roles import DataConfig

ALONE = 16  # rows on which a condition is evaluated alone, to see whether it looks at others


def fulfilled(data: DataConfig, frame: pl.DataFrame, path: Path) -> np.ndarray:
    """Evaluate data.scored on each row, (rows,) bool.

    path: of the table, for messages.

    Raises:
        UserError: it is no condition on the row's own values, or has no answer for a row.
    """
    condition = _parsed(data)
    for name in names(data):
        if name not in frame.columns:
            raise unknown("column", name, frame.columns, f"data.scored = {data.scored!r}")
    try:
        whole = _values(condition, frame)
        parts = [(part, _values(part, frame)) for part in _parts(condition) if part.meta.root_names()]
    except BaseException as error:
        if not (isinstance(error, pl.exceptions.PolarsError) or type(error).__name__ == PANIC):
            raise
        raise UserError(
            f"data.scored = {data.scored!r} does not fit the columns of {path}: {reason(error)}."
        ) from error
    _refuse_other_rows(data, condition, frame, [values for _, values in parts])
    for part, values in parts:
        _refuse_infinite(data, part, values, path)
    if whole.dtype != pl.Boolean:
        kind = whole.to_numpy().dtype
        raise UserError(f"data.scored must be true or false for each row, but {data.scored!r} gives {kind}.")
    if whole.null_count():
        raise UserError(
            f"{path}: data.scored = {data.scored!r} is neither true nor false in {whole.null_count()} rows (first: row "
            f"{int(whole.is_null().arg_true()[0]) + 1}). Say what counts there, for instance by coalesce(..., false)."
        )
    return whole.to_numpy()


def at_once(data: DataConfig, frame: pl.DataFrame) -> np.ndarray:
    """Evaluate a data.scored that training has checked on rows of the same columns: (rows,) bool, null is false."""
    return np.asarray(_values(_parsed(data), frame).fill_null(False).to_numpy())


def names(data: DataConfig) -> list[str]:
    """List the columns of data.scored; none where it is empty.

    Raises:
        UserError: it is no condition, names no column, or names the row id.
    """
    if not data.scored:
        return []
    found = _parsed(data).meta.root_names()
    if not found:
        raise UserError(f"data.scored must name a column, but {data.scored!r} is the same for every row. Leave it out.")
    if data.id in found:
        raise UserError(
            f"data.scored = {data.scored!r} names the row id {data.id!r}, but what counts must follow from the other "
            f"columns: ids only name rows of a submission. Use {data.order!r}, or data.observed for leading steps."
        )
    return list(dict.fromkeys(found))


def _parsed(data: DataConfig) -> pl.Expr:
    try:
        return _expression(data.scored)
    except BaseException as error:
        if not (isinstance(error, pl.exceptions.PolarsError) or type(error).__name__ == PANIC):
            raise
        quoted = 'A column whose name is a word of SQL stands in double quotes: "order" == 0.'
        raise UserError(
            f'data.scored must be a SQL condition like "u_out == 0", but is {data.scored!r} ({reason(error)}). {quoted}'
        ) from error


@functools.cache
def _expression(condition: str) -> pl.Expr:
    return pl.sql_expr(condition)


def _parts(condition: pl.Expr) -> Iterator[pl.Expr]:
    """Yield an expression and all that it is made of."""
    yield condition
    for part in condition.meta.pop():
        yield from _parts(part)


def _values(part: pl.Expr, frame: pl.DataFrame) -> pl.Series:
    return frame.select(part.alias("value")).to_series()


def _refuse_other_rows(data: DataConfig, condition: pl.Expr, frame: pl.DataFrame, parts: list[pl.Series]) -> None:
    """Refuse a condition with a part that has one value for all rows, or another one on a row alone."""
    places = np.unique(np.linspace(0, frame.height - 1, min(ALONE, frame.height)).astype(np.int64))
    same = all(values.len() == frame.height for values in parts) and all(
        _values(part, frame[int(place)]).equals(values[int(place) : int(place) + 1])
        for part, values in zip([part for part in _parts(condition) if part.meta.root_names()], parts, strict=True)
        for place in places
    )
    if not same:
        raise UserError(
            f"data.scored = {data.scored!r} must follow from the values of a row alone, but looks at other rows too. "
            "Compare with a number instead."
        )


def _refuse_infinite(data: DataConfig, part: pl.Expr, values: pl.Series, path: Path) -> None:
    """Refuse a part that is no finite number in some rows; comparisons with it mean nothing."""
    if not values.dtype.is_float():
        return
    bad = ~values.is_finite().fill_null(True)
    if bad.any():
        row = int(bad.arg_true()[0])
        raise UserError(
            f"{path}: data.scored = {data.scored!r} computes {values[row]} in {int(bad.sum())} rows (first: row "
            f"{row + 1}), by a division by zero or the like. Write it without: a > b instead of a / b > 1."
        )
