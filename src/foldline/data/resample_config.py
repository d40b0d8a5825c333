"""[data.resample]: to which steps series are summed up when they are read; resample.py does it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from foldline.data import time_steps

Summary = Literal["mean", "median", "sum", "min", "max", "first", "last"]


@dataclass(frozen=True, kw_only=True)
class ResampleConfig:
    """[data.resample]: rows of a series are summed up to steps of equal duration, from the series' first row on."""

    every: str | float  # a step: in the unit of data.order, where that is a date in seconds, or "30s", "5m", "1h", "1d"
    # What an input is in a step, of its rows that are not missing. Others: the mean; categories: the most frequent one.
    summary: dict[str, Summary] = field(default_factory=dict)
    gaps: Literal["missing", "left-out"] = "missing"  # a step without a row: there with missing inputs, or not there

    def __post_init__(self) -> None:
        time_steps.check(self.every)

    @property
    def length(self) -> float:
        """Length of a step: in the unit of data.order, in seconds where it is written as a duration."""
        return time_steps.length_of(self.every)
