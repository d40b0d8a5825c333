"""target_lags: the known past of the target, as far as it is known when the step is predicted.

The steps behind the known ones are predicted all at once, so that the value a week before the tenth of them is not
known. A lag of k steps is then taken one season earlier, or two, until it reaches into what is known: with lag 1 and
season 7 the tenth step behind the origin sees the value 15 steps before it. Steps are steps of time: those of a gap
between the known ones and the predicted ones count, too.
"""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from foldline.features.family import (
    KNOWN_STEPS,
    SERIES,
    STEP,
    Columns,
    Family,
    check_steps,
    cumulated,
    target_column,
)

SCALES = ("", "standardise", "log1p", "log1p-standardise")
FLAT = 1e-9  # of its mean: a deviation up to it is that of a constant, rounded


@dataclass(frozen=True, kw_only=True)
class TargetLags(Family):
    """Features `horizon`, how many steps behind the known ones a step lies, 0 in these; of each target y `y@t-k`, the
    known value k steps before, or k and some seasons; `level7(y)`, `move7(y)`, mean and deviation of the last 7 known.
    """

    lags: tuple[int, ...] = (1, 2, 3, 7)  # steps
    season: int = 0  # steps; 0: a lag that is not known is missing
    last: tuple[int, ...] = (7, 28)  # known steps, windows of level and move
    # As data.target_transform, to which it belongs: "standardise", less the mean of the series' known values, by their
    # deviation; "log1p", log(1 + y); "log1p-standardise", both.
    scale: Literal["", "standardise", "log1p", "log1p-standardise"] = ""

    def __post_init__(self) -> None:
        check_steps("target_lags.lags", self.lags)
        check_steps("target_lags.last", self.last)
        if type(self.season) is not int or self.season < 0:
            raise ValueError(f"target_lags.season must be a number of steps, 0 for none, but got {self.season!r}.")
        if self.scale not in SCALES:
            raise ValueError(
                f"target_lags.scale must be one of {', '.join(map(repr, SCALES))}, but got {self.scale!r}."
            )

    @property
    def lookahead(self) -> bool:
        return True  # level and move of all known steps stand at the first of them, too

    @property
    def has_gaps(self) -> bool:
        return True

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        if not columns.targets:
            raise ValueError(
                "target_lags needs a target that is known at the first steps: give data.forecast or data.observed."
            )
        ahead = pl.when(_predicted()).then(pl.col(STEP) - pl.col(KNOWN_STEPS) + 1 + columns.gap).otherwise(0)
        found = [each for name in columns.targets for each in self._of(name, columns.gap)]
        return [ahead.cast(pl.Float64).alias("horizon"), *found]

    def _of(self, name: str, gap: int) -> list[pl.Expr]:
        y = self._scaled(pl.col(target_column(name)))
        found = [self._lag(y, lag, gap).alias(f"{name}@t-{lag}") for lag in self.lags]
        for window in self.last:
            mean, deviation = _mean_and_deviation(y, pl.col(STEP) >= pl.col(KNOWN_STEPS) - window)
            found += [mean.alias(f"level{window}({name})"), deviation.alias(f"move{window}({name})")]
        return found

    def _scaled(self, y: pl.Expr) -> pl.Expr:
        if self.scale.startswith("log1p"):
            y = y.log1p()
        if not self.scale.endswith("standardise"):
            return y
        mean, deviation = _mean_and_deviation(y, pl.lit(True))
        return (y - mean) / pl.when(deviation > FLAT * mean.abs()).then(deviation).otherwise(1.0)

    def _lag(self, y: pl.Expr, lag: int, gap: int) -> pl.Expr:
        """Return the known value `lag` steps of time before, or some seasons more; NaN where the series has none."""
        step, known = pl.col(STEP).cast(pl.Int64), pl.col(KNOWN_STEPS)
        back = pl.when(_predicted()).then(lag - gap).otherwise(lag).cast(pl.Int64)  # rows
        if self.season:
            unknown = (step - back - known + 1).clip(lower_bound=0)  # steps that it lies behind the last known one
            back = back + (unknown + self.season - 1) // self.season * self.season
        place = step - back
        row = pl.int_range(pl.len(), dtype=pl.Int64) - back
        inside = (place >= 0) & (place < known)
        return pl.when(inside).then(y.gather(pl.when(inside).then(row).otherwise(0))).otherwise(float("nan"))


def _predicted() -> pl.Expr:
    """Return whether a step lies behind the known ones."""
    return pl.col(STEP) >= pl.col(KNOWN_STEPS)


def _mean_and_deviation(y: pl.Expr, among: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return mean and deviation over the known steps of the series that are among some; NaN where there are none."""
    chosen = y.is_not_nan() & among
    count = chosen.cast(pl.Float64).sum().over(SERIES)
    mean = _total(pl.when(chosen).then(y).otherwise(0.0)) / count
    square = _total(pl.when(chosen).then((y - mean) ** 2).otherwise(0.0)) / count
    return mean, square.sqrt()


def _total(values: pl.Expr) -> pl.Expr:
    """Return the sum over the series, on each of its rows: added up step by step, wherever in the frame it lies."""
    return cumulated(values).last().over(SERIES)
