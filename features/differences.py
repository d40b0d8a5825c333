"""differences: how much an input has changed over the last few steps."""

from dataclasses import dataclass

import polars as pl

from foldline.features.family import Columns, Family, check_names, check_steps, number, shifted


@dataclass(frozen=True, kw_only=True)
class Differences(Family):
    """Features `x-x@t-n` for each n; before the series x is 0.0, so that the first n steps give x itself."""

    columns: tuple[str, ...] = ()  # empty: the first input
    steps: tuple[int, ...] = (1, 2, 3, 4)  # steps back

    def __post_init__(self) -> None:
        check_names("differences.columns", self.columns)
        check_steps("differences.steps", self.steps)

    @property
    def lookahead(self) -> bool:
        return False

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        return [
            (number(x) - shifted(number(x), n)).alias(f"{x}-{x}@t-{n}")
            for x in columns.chosen(self.columns)
            for n in self.steps
        ]
