"""time: the order column itself, and its difference to the step before."""

from dataclasses import dataclass

import polars as pl

from foldline.features.family import Columns, Family, duration, number


@dataclass(frozen=True, kw_only=True)
class Time(Family):
    """Features `t` (the order column) and `d(t)`, its step since the row before (0.0 at the first), in t's own unit."""

    @property
    def lookahead(self) -> bool:
        return False

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        order = columns.order
        return [number(order).alias(order), duration(order).alias(f"d({order})")]
