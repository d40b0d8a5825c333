"""correlation: whether two inputs move together in a series."""

from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from foldline.features.family import Columns
from foldline.features.per_series import Array, Rows, SeriesFamily, Statistic, ratio


@dataclass(frozen=True, kw_only=True)
class Correlation(SeriesFamily):
    """Features `corr(x*y)@all`, Pearson's correlation of two inputs over a series, for each pair in the inputs' order;
    from -1 to 1, and 0 where one of them is constant.
    """

    pairs: int = 28  # at most, the first ones: all pairs of 8 inputs

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.pairs) is not int or self.pairs < 1:
            raise ValueError(f"correlation.pairs must be a whole number >= 1, but got {self.pairs!r}.")

    def statistics(self, columns: Columns) -> list[Statistic]:
        chosen = self.chosen(columns)
        if len(chosen) < 2:
            raise ValueError(
                f"correlation needs two inputs at least, but has {chosen[0]!r} alone: drop it from features.families."
            )
        return [
            Statistic(f"corr({x}*{y})", (x, y), _correlation) for x, y in islice(combinations(chosen, 2), self.pairs)
        ]


def _correlation(rows: Rows, one: Array, other: Array) -> Array:
    one, other = rows.centred(one), rows.centred(other)
    # The root of each before their product, which would be 0 for two very small ones.
    spread = np.sqrt(rows.sum(np.square(one))) * np.sqrt(rows.sum(np.square(other)))
    return np.clip(ratio(rows.sum(one * other), spread), -1.0, 1.0)
