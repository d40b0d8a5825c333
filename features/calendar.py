"""calendar: what the calendar says of each row, where the order of a series is dates or times.

Each part is a place on a circle, sine and cosine, so that Sunday lies beside Monday and December beside January; or a
number, which trees split as they like.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Literal

import polars as pl

from foldline.features.family import MOMENT, Columns, Family, unknown_name

HOURS = 1 / 60  # of a minute; a division would round differently in a series alone: polars takes the reciprocal of some

# part -> its value, a number from 0 on, and how many there are
PARTS: dict[str, tuple[Callable[[pl.Expr], pl.Expr], float]] = {
    "hour": (lambda moment: moment.dt.hour() + moment.dt.minute() * HOURS, 24),
    "weekday": (lambda moment: moment.dt.weekday() - 1, 7),  # Monday is 0
    "day": (lambda moment: moment.dt.day() - 1, 31),
    "month": (lambda moment: moment.dt.month() - 1, 12),
    "yearday": (lambda moment: moment.dt.ordinal_day() - 1, 365.25),
}


@dataclass(frozen=True, kw_only=True)
class Calendar(Family):
    """Features `sin(part)`, `cos(part)` of each part of a row's date, or the number `part`, from 0 on; zones in UTC."""

    parts: tuple[str, ...] = ("weekday", "yearday")  # of hour, weekday, day (of the month), month, yearday
    form: Literal["circle", "number"] = "circle"

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise ValueError(unknown_name("calendar.parts", part, list(PARTS)))
        if not self.parts or len(set(self.parts)) < len(self.parts):
            raise ValueError(f"calendar.parts must name parts, each once, but got {self.parts!r}.")
        if self.form not in ("circle", "number"):
            raise ValueError(f"calendar.form must be 'circle' or 'number', but got {self.form!r}.")

    @property
    def lookahead(self) -> bool:
        return False

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        if not columns.has_moments:
            raise ValueError(
                "calendar needs dates or times as data.order, and a known start: give data.forecast or data.observed."
            )
        return [feature for part in self.parts for feature in self._of(part)]

    def _of(self, part: str) -> list[pl.Expr]:
        value, count = PARTS[part]
        number = value(pl.col(MOMENT)).cast(pl.Float64)
        if self.form == "number":
            return [number.alias(part)]
        angle = number * (2 * pi / count)
        return [angle.sin().alias(f"sin({part})"), angle.cos().alias(f"cos({part})")]
