"""static: columns that are constant in a series: numbers as they are, categories and their pairs as one-hots.

The pairs matter where two constants act together: a lung's resistance R and compliance C set its time constant R * C.
"""

from dataclasses import dataclass
from itertools import combinations

import polars as pl

from foldline.features.family import Columns, Family, number, place_among


@dataclass(frozen=True, kw_only=True)
class Static(Family):
    """Features `R=5` for each known value of each static column, then `R=5*C=10` for each pair of columns.

    A value that is not among the known ones is 0 in all of them. A column with more than `most` known values has none
    of these, but `place(R)`, the place of its value among the known ones from 1 on, 0 for others; nor has a pair of
    columns with more pairs of values than 10 `most`. Behind them come the columns that are numbers.
    """

    most: int = 100  # known values of a column with one-hots; networks see more by the embeddings of their own
    pairs: bool = True  # one-hots of each pair of static columns too

    def __post_init__(self) -> None:
        if not isinstance(self.pairs, bool):
            raise ValueError(f"static.pairs must be true or false, but got {self.pairs!r}.")
        if type(self.most) is not int or self.most < 1:
            raise ValueError(f"static.most must be a whole number >= 1, but got {self.most!r}.")

    @property
    def lookahead(self) -> bool:
        return False

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        single = {
            name: {f"{name}={level}": pl.col(name).eq_missing(pl.lit(level)) for level in columns.levels[name]}
            for name in columns.static
            if len(columns.levels[name]) <= self.most
        }
        hits = {label: hit for levels in single.values() for label, hit in levels.items()}
        if self.pairs:
            for one, other in combinations(single.values(), 2):
                if len(one) * len(other) <= 10 * self.most:
                    hits |= {f"{a}*{b}": one[a] & other[b] for a in one for b in other}
        flags = [hit.cast(pl.UInt8).alias(label) for label, hit in hits.items()]
        places = [place_among(name, columns.levels[name]) for name in columns.static if name not in single]
        return flags + places + [number(name).alias(name) for name in columns.static_numbers]
