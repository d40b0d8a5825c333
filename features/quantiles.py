"""quantiles: of the values of each input over a series."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from foldline.features.family import Columns
from foldline.features.per_series import Array, Rows, SeriesFamily, Statistic


@dataclass(frozen=True, kw_only=True)
class Quantiles(SeriesFamily):
    """Features `q0.25(x)@all` for each input x and level; between two values a quantile is interpolated linearly."""

    levels: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)  # 0 to 1

    def __post_init__(self) -> None:
        super().__post_init__()
        numbers = isinstance(self.levels, tuple) and all(type(level) in (int, float) for level in self.levels)
        inside = numbers and self.levels and all(0 <= level <= 1 for level in self.levels)
        if not inside or len(set(self.levels)) < len(self.levels):
            raise ValueError(
                f"quantiles.levels must be a list of different numbers from 0 to 1, but got {self.levels!r}."
            )

    def statistics(self, columns: Columns) -> list[Statistic]:
        return [
            Statistic(f"q{level}({x})", (x,), partial(_quantile, level=level))
            for x in self.chosen(columns)
            for level in self.levels
        ]


def _quantile(rows: Rows, values: Array, *, level: float) -> Array:
    found = np.empty(len(rows.lengths))
    for chosen, block in rows.blocks(values):
        place = level * (block.shape[1] - 1)
        below = int(place)
        above = min(below + 1, block.shape[1] - 1)
        block.partition((below, above), axis=1)  # in place: the block is a copy
        found[chosen] = block[:, below] + (place - below) * (block[:, above] - block[:, below])
    return found
