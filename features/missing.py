"""missing: whether an input is missing. The store adds it by itself for the inputs that lack a value in training."""

from dataclasses import dataclass

import polars as pl

from foldline.features.family import Columns, Family, check_names, number


@dataclass(frozen=True, kw_only=True)
class Missing(Family):
    """Features `missing(x)`, 1 where x, an input or a static column that is a number, is missing, for each column."""

    columns: tuple[str, ...] = ()  # empty: all inputs

    def __post_init__(self) -> None:
        check_names("missing.columns", self.columns)

    @property
    def lookahead(self) -> bool:
        return False

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        inputs = tuple(x for x in self.columns if x not in columns.static_numbers)
        chosen = self.columns if self.columns and not inputs else columns.chosen(inputs or columns.inputs)
        chosen = tuple(dict.fromkeys([*chosen, *self.columns]))
        return [number(x).is_nan().fill_null(True).cast(pl.UInt8).alias(f"missing({x})") for x in chosen]
