"""raw: the inputs as they are, and 1 - x for those that are flags."""

from dataclasses import dataclass

import polars as pl

from foldline.features.family import Columns, Family, check_names, number


@dataclass(frozen=True, kw_only=True)
class Raw(Family):
    """Features `x` for each column, then `1-x` for each of `complement`."""

    columns: tuple[str, ...] = ()  # empty: all inputs
    complement: tuple[str, ...] = ()  # 0/1 inputs whose opposite becomes a feature too

    def __post_init__(self) -> None:
        check_names("raw.columns", self.columns)
        check_names("raw.complement", self.complement)

    @property
    def lookahead(self) -> bool:
        return False

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        plain = columns.chosen(self.columns or columns.inputs)
        opposite = columns.chosen(self.complement) if self.complement else ()
        return [number(x).alias(x) for x in plain] + [(1.0 - number(x)).alias(f"1-{x}") for x in opposite]
