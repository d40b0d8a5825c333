"""stats: maximum and mean of a series, and each step's distance to them."""

from dataclasses import dataclass

import polars as pl

from foldline.features.family import LENGTH, SERIES, Columns, Family, at_end, check_names, cumulated, number


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
            # Summed step by step: the last bits of polars' own mean depend on where in the frame a series lies.
            mean = at_end(cumulated(values)) / pl.col(LENGTH)
            features.append(largest.alias(f"max({x})"))
            features.append((largest - values).alias(f"max({x})-{x}"))
            features.append((mean - values).alias(f"mean({x})-{x}"))
        return features
