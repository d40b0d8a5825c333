"""integral: the running sum of an input, over steps and over time.

The integral of the inspiratory valve approximates the volume in the lung, which determines the pressure. It is among
the inputs of the 1st-place network (Google Brain - Ventilator Pressure Prediction, 2021).
"""

from dataclasses import dataclass

import polars as pl

from foldline.features.family import Columns, Family, check_names, cumulated, duration, number


@dataclass(frozen=True, kw_only=True)
class Integral(Family):
    """Features `sum(x)` (x's unit) and `sum(x*dt)` (x's unit times that of the order), this step included."""

    columns: tuple[str, ...] = ()  # empty: the first input

    def __post_init__(self) -> None:
        check_names("integral.columns", self.columns)

    @property
    def lookahead(self) -> bool:
        return False

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        step = duration(columns.order)
        features = []
        for x in columns.chosen(self.columns):
            features.append(cumulated(number(x)).alias(f"sum({x})"))
            features.append(cumulated(number(x) * step).alias(f"sum({x}*dt)"))
        return features
