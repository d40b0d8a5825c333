"""[data.forecast]: how a training table is cut into windows where test is the future of its series (forecast.py)."""

from __future__ import annotations

from dataclasses import dataclass

KNOWN = "__known__"  # column of a window's rows: how many of its first steps have a target that is given
OF_SERIES = "__of_series__"  # likewise: the series that it was cut from, whose windows folds hold together


@dataclass(frozen=True, kw_only=True)
class ForecastConfig:
    """[data.forecast]: test goes on where the series of train end; training series are cut into windows like that."""

    history: int = 0  # rows before an origin that are given, at most: a series may have fewer; 0: no forecast
    horizon: int = 0  # rows behind it that are predicted; no test series may have more
    gap: int = 0  # steps of time between the two that neither table has: test begins so many later than train ends
    windows: int = 1  # of each training series, at most; the last one ends with it
    stride: int = 0  # rows from one origin to the next; 0: horizon, so that no row is predicted twice

    def __post_init__(self) -> None:
        if min(self.history, self.horizon, self.gap, self.stride) < 0 or self.windows < 1:
            raise ValueError(
                "history, horizon, gap and stride must be numbers of rows, and windows at least 1, but they are "
                f"{self.history}, {self.horizon}, {self.gap}, {self.stride} and {self.windows}"
            )
        if (self.history > 0) != (self.horizon > 0):
            raise ValueError(
                f"history and horizon must both be given, but are {self.history} and {self.horizon}: so many rows are "
                "known, and so many predicted"
            )

    @property
    def on(self) -> bool:
        """Whether this is a forecast."""
        return self.history > 0

    @property
    def step(self) -> int:
        """Rows from one origin to the next."""
        return self.stride or self.horizon
