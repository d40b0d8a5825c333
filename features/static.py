"""static: one-hots of columns that are constant in a series, and of each pair of such columns.

The pairs matter where two constants act together: a lung's resistance R and compliance C set its time constant R * C.
"""

from dataclasses import dataclass
from itertools import combinations

import polars as pl

from foldline.features.family import Columns, Family


@dataclass(frozen=True, kw_only=True)
class Static(Family):
    """Features `R=5` for each known value of each static column, then `R=5*C=10` for each pair of columns.

    A value that is not among the known ones is 0 in all of them.
    """

    pairs: bool = True  # one-hots of each pair of static columns too

    def __post_init__(self) -> None:
        if not isinstance(self.pairs, bool):
            raise ValueError(f"static.pairs must be true or false, but got {self.pairs!r}.")

    @property
    def lookahead(self) -> bool:
        return False

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        single = {
            name: {f"{name}={level}": pl.col(name).eq_missing(pl.lit(level)) for level in columns.levels[name]}
            for name in columns.static
        }
        hits = {label: hit for levels in single.values() for label, hit in levels.items()}
        if self.pairs:
            for one, other in combinations(single.values(), 2):
                hits |= {f"{a}*{b}": one[a] & other[b] for a in one for b in other}
        return [hit.cast(pl.UInt8).alias(label) for label, hit in hits.items()]
