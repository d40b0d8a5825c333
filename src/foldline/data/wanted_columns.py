"""What a caller wants of a table's columns, and what both kinds of files refuse alike."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from foldline.core.errors import unknown

Kind = pl.DataType | type[pl.DataType] | None
Wanted = dict[str, Kind]  # column -> dtype; None, ORDER: see `readers.read`
ORDER = pl.Datetime  # numbers, or dates and times


def require(path: Path, present: list[str], wanted: Wanted) -> None:
    """Refuse a table without a wanted column.

    Raises:
        UserError
    """
    for name in wanted:
        if name not in present:
            raise unknown("column", name, present, f"{path} lacks a column that [data] names")
