"""Whether test has the target where it is known, in its own column or in one beside it (data.known); for `init`."""

from __future__ import annotations

import polars as pl

from foldline.data.findings import Findings


def own_columns(train: pl.DataFrame, test: pl.DataFrame, sample: pl.DataFrame | None) -> list[str]:
    """List the columns that the sample submission asks for, that train has whole, and test here and there."""
    if sample is None:
        return []
    both = [name for name in sample.columns[1:] if name in train.columns and name in test.columns]
    return [name for name in both if _has_gaps(test[name]) and not train[name].null_count()]


def find_column_beside(found: Findings, train: pl.DataFrame, test: pl.DataFrame) -> None:
    """Find a column of both tables that is empty here and there, and elsewhere the only target."""
    if found.known or len(found.target) != 1 or found.labels or not train[found.target[0]].dtype.is_numeric():
        return
    target = train[found.target[0]]
    for name in (name for name in train.columns if name in test.columns and _has_gaps(train[name])):
        same = (train[name] == target) | train[name].is_null()
        if _has_gaps(test[name]) and bool(same.fill_null(False).all()):
            found.known = [name]
            found.evidence["known"] = f"is {found.target[0]} where it is not empty"
            return


def _has_gaps(column: pl.Series) -> bool:
    return column.dtype.is_numeric() and 0 < column.null_count() < len(column)
