"""[data.resample]: to which steps series are summed up when they are read; resample.py does it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal

Summary = Literal["mean", "median", "sum", "min", "max", "first", "last"]
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, kw_only=True)
class ResampleConfig:
    """[data.resample]: rows of a series are summed up to steps of equal duration, from the series' first row on."""

    every: str | float  # a step: in the unit of data.order, where that is a date in seconds, or "30s", "5m", "1h", "1d"
    # What an input is in a step, of its rows that are not missing. Others: the mean; categories: the most frequent one.
    summary: dict[str, Summary] = field(default_factory=dict)
    gaps: Literal["missing", "left-out"] = "missing"  # a step without a row: there with missing inputs, or not there

    def __post_init__(self) -> None:
        if isinstance(self.every, str) and not DURATION.fullmatch(self.every):
            raise ValueError(f"every must be a number, or a duration such as 30s, 5m, 1h or 1d, but is {self.every!r}")
        if not 0 < self.length < math.inf:
            raise ValueError(f"every must be a finite length above 0, but is {self.every}")

    @property
    def length(self) -> float:
        """Length of a step: in the unit of data.order, in seconds where it is written as a duration."""
        if not isinstance(self.every, str):
            return self.every
        number, unit = DURATION.fullmatch(self.every).groups()  # type: ignore[union-attr]
        return float(number) * SECONDS[unit]
