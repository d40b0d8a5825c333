"""Frames as somebody hands them over, of whatever library, as frames of polars."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl

from foldline.core.errors import UserError, shortened

# What polars and pyarrow raise for a column that they can't take as it is; ImportError: there is no pyarrow.
NOT_AS_IT_IS = (TypeError, ValueError, NotImplementedError, ImportError)


def frame_of(value: Any, what: str = "The rows to predict") -> pl.DataFrame:
    """Return what somebody handed over as a polars frame: one of polars or pandas, or a dict of columns.

    Raises:
        UserError: it is something else; a dict of columns that are no table; two columns of one name.
    """
    if isinstance(value, pl.DataFrame):
        return value
    if isinstance(value, pl.LazyFrame):
        return value.collect()
    if isinstance(value, dict):
        try:
            return pl.DataFrame(value)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{what} must be columns of one length, each of one type, but {error}.") from error
    if type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "columns"):
        return _of_pandas(value, what)
    raise UserError(f"{what} must be a frame of polars or pandas, or a dict of columns, but is {type(value).__name__}.")


def _of_pandas(frame: Any, what: str) -> pl.DataFrame:
    names = [str(name) for name in frame.columns]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"{what} must have columns of different names, but have several called {shortened(twice)}.")
    try:
        return pl.from_pandas(frame)
    except NOT_AS_IT_IS:  # for one column, perhaps one that nobody wants
        return pl.DataFrame([_column(frame.iloc[:, place], name) for place, name in enumerate(names)])


def _column(column: Any, name: str) -> pl.Series:
    """Return a column of pandas; where it has values of several types, their texts, as a file would have them."""
    try:
        found: Any = pl.from_pandas(column)
        return pl.Series(name, found)
    except NOT_AS_IT_IS:
        gone = column.isna().tolist()
        texts = [None if empty else str(each) for each, empty in zip(column.tolist(), gone, strict=True)]
        return pl.Series(name, texts, dtype=pl.String)
