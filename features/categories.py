"""categories: inputs that are categories at each step, as one-hots. The store adds it by itself where there are any."""

from dataclasses import dataclass

import polars as pl

from foldline.features.family import Columns, Family, check_names, place_among, unknown_name


@dataclass(frozen=True, kw_only=True)
class Categories(Family):
    """Features `x=level`, 1 where input x is that known value; a missing or unknown one is 0 in all of them.

    An input with more than `most` known values has `place(x)` instead, the place of its value among them from 1 on, 0
    for others.
    """

    columns: tuple[str, ...] = ()  # empty: all inputs that are categories
    most: int = 100  # known values of an input with one-hots

    def __post_init__(self) -> None:
        check_names("categories.columns", self.columns)
        if type(self.most) is not int or self.most < 1:
            raise ValueError(f"categories.most must be a whole number >= 1, but got {self.most!r}.")

    @property
    def lookahead(self) -> bool:
        return False

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        found: list[pl.Expr] = []
        for x in self.columns or columns.categories:
            if x not in columns.categories:
                raise ValueError(unknown_name("input column of categories", x, columns.categories))
            levels = columns.levels[x]
            if len(levels) > self.most:
                found.append(place_among(x, levels))
                continue
            found += [pl.col(x).eq_missing(pl.lit(level)).cast(pl.UInt8).alias(f"{x}={level}") for level in levels]
        return found
