"""What a caller wants of a table's columns, and what both kinds of files refuse alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from foldline.core.errors import unknown


@dataclass(frozen=True)
class Numbers:
    """Float64, of which some stand for a missing value."""

    markers: tuple[str | float, ...]  # these, or texts that do


Kind = pl.DataType | type[pl.DataType] | Numbers | None
Wanted = dict[str, Kind]  # column -> dtype; None, ORDER: see `readers.read`
ORDER = pl.Datetime("ns")  # numbers, or dates and times
TIME = pl.Datetime("us")  # numbers, dates or texts, which are read as they are


def is_number(kind: Kind) -> bool:
    """Return whether a column of numbers is wanted, or an order, which mostly holds some."""
    return isinstance(kind, Numbers) or kind in (pl.Float64, ORDER)


def require(path: Path, present: list[str], wanted: Wanted) -> None:
    """Refuse a table without a wanted column.

    Raises:
        UserError
    """
    for name in wanted:
        if name not in present:
            raise unknown("column", name, present, f"{path} lacks a column that [data] names")
