"""autocorrelation: how much a series resembles itself some steps ago."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from foldline.features.family import Columns, check_steps
from foldline.features.per_series import Array, Rows, SeriesFamily, Statistic, ratio


@dataclass(frozen=True, kw_only=True)
class Autocorrelation(SeriesFamily):
    """Features `acf3(x)@all` for each input x and lag: sum of (x_t - m)(x_{t-3} - m) over sum of (x_t - m)^2, m being
    the mean; from -1 to 1, and 0 where the series is constant or not longer than the lag.
    """

    lags: tuple[int, ...] = (1, 2, 3, 5, 10)  # steps

    def __post_init__(self) -> None:
        super().__post_init__()
        check_steps("autocorrelation.lags", self.lags)

    def statistics(self, columns: Columns) -> list[Statistic]:
        return [
            Statistic(f"acf{lag}({x})", (x,), partial(_autocorrelation, lag=lag))
            for x in self.chosen(columns)
            for lag in self.lags
        ]


def _autocorrelation(rows: Rows, values: Array, *, lag: int) -> Array:
    centred = rows.centred(values)
    products = np.zeros(len(centred))
    products[lag:] = centred[lag:] * centred[:-lag]
    products[rows.step < lag] = 0.0  # the value before is another series'
    return ratio(rows.sum(products), rows.sum(np.square(centred)))
