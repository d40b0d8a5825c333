"""lags: the values of an input some steps ago, and some steps ahead."""

from dataclasses import dataclass

import polars as pl

from foldline.features.family import Columns, Family, check_names, check_steps, number, shifted


@dataclass(frozen=True, kw_only=True)
class Lags(Family):
    """Features `x@t-n` for each lag and `x@t+n` for each lead n; 0.0 outside the series."""

    columns: tuple[str, ...] = ()  # empty: the first input
    lags: tuple[int, ...] = (1, 2, 3, 4)  # steps back
    leads: tuple[int, ...] = (1, 2, 3, 4)  # steps ahead

    def __post_init__(self) -> None:
        check_names("lags.columns", self.columns)
        check_steps("lags.lags", self.lags)
        check_steps("lags.leads", self.leads)

    @property
    def lookahead(self) -> bool:
        return bool(self.leads)

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        offsets = [-n for n in self.lags] + list(self.leads)
        return [
            shifted(number(x), -offset).alias(f"{x}@t{offset:+d}")
            for x in columns.chosen(self.columns)
            for offset in offsets
        ]
