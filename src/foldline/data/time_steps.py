"""Steps of equal duration: how long one is, and in which of them each row of a series lies.

[data.resample] sums rows up to such steps where a series has one answer, [train.patches] where each row has one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np

from foldline.core.errors import UserError

MOST = 10  # times as many steps as rows, at most: gaps may be long
NEARLY = 1e-3  # of a step: 0.3 is 3 steps of 0.1, though float64 has less; of seconds since 1970 it lacks 1e-7
FURTHEST = 2.0**53  # steps from a series' start: whole numbers above it are not exact
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def check(every: str | float) -> None:
    """Refuse what is no length of a step.

    Raises:
        ValueError
    """
    if isinstance(every, str) and not DURATION.fullmatch(every):
        raise ValueError(f"every must be a number, or a duration such as 30s, 5m, 1h or 1d, but is {every!r}")
    if not 0 < length_of(every) < math.inf:
        raise ValueError(f"every must be a finite length above 0, but is {every}")


def length_of(every: str | float) -> float:
    """Return the length of a step: in the unit of data.order, in seconds where it is written as a duration."""
    if not isinstance(every, str):
        return every
    number, unit = DURATION.fullmatch(every).groups()  # type: ignore[union-attr]
    return float(number) * SECONDS[unit]


def refuse_duration(what: str, every: str | float, order: str, of_dates: bool) -> None:
    """Refuse a duration where the order is numbers, whose unit nobody has said.

    what: the key, for messages. order: the column. of_dates: whether it holds dates or times.

    Raises:
        UserError
    """
    if isinstance(every, str) and not of_dates:
        raise UserError(f"{what} = {every!r} is a duration, but {order!r} holds numbers: give a number in their unit.")


def numbers_of(since_start: np.ndarray, every: str | float) -> np.ndarray:
    """Return the number of the step that each row lies in, (rows,) whole float64: 0 has its series' first row.

    since_start: (rows,) by how much a row is later than the first one of its series.
    """
    with np.errstate(over="ignore"):
        place = since_start / length_of(every)
    near = np.round(place)
    return np.asarray(np.where(np.abs(place - near) < NEARLY, near, np.floor(place)))


def refuse_too_many(
    what: str, every: str | float, numbers: np.ndarray, lengths: np.ndarray, gaps: str, name: Callable[[int], str]
) -> None:
    """Refuse steps that are too short to be counted, or far too many because of gaps.

    Args:
        what: the key, for messages.
        numbers: (rows,) of `numbers_of`, series after series. lengths: (N,) rows of each.
        gaps: "missing": a step without a row is one, too.
        name: of a series by its number, for messages.

    Raises:
        UserError
    """
    last = numbers[np.cumsum(lengths) - 1]
    most = int(last.argmax())
    if last[most] < FURTHEST and (gaps == "left-out" or (last + 1).sum() <= MOST * len(numbers)):
        return
    way_out = "" if gaps == "left-out" or last[most] >= FURTHEST else ", or gaps = 'left-out'"
    raise UserError(
        f"{what} = {every!r} makes {_count((last + 1).sum())} steps of {len(numbers):,} rows "
        f"({_count(last[most] + 1)} in {name(most)} alone). Take longer steps{way_out}."
    )


def _count(steps: float) -> str:
    return f"{steps:,.0f}" if steps < FURTHEST else f"{steps:.3g}"
