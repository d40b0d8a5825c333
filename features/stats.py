"""stats: maximum and mean of a series, and each step's distance to them."""

from dataclasses import dataclass

import polars as pl

from foldline.features.family import SERIES, Columns, Family, check_names, known_mean, number


@dataclass(frozen=True, kw_only=True)
class Stats(Family):
    """Features `max(x)`, `max(x)-x` and `mean(x)-x`, over all steps of the series."""

    columns: tuple[str, ...] = ()  # empty: the first input

    def __post_init__(self) -> None:
        check_names("stats.columns", self.columns)

    @property
    def lookahead(self) -> bool:
        return True

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        features = []
        for x in columns.chosen(self.columns):
            values = number(x)
            largest = values.max().over(SERIES)
            mean = known_mean(values)
            features.append(largest.alias(f"max({x})"))
            features.append((largest - values).alias(f"max({x})-{x}"))
            features.append((mean - values).alias(f"mean({x})-{x}"))
        return features
