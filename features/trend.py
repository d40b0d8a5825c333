"""trend: the straight line through a series, by least squares over the order column."""

from dataclasses import dataclass

import numpy as np

from foldline.features.family import Columns
from foldline.features.per_series import Array, Rows, SeriesFamily, Statistic, ratio


@dataclass(frozen=True, kw_only=True)
class Trend(SeriesFamily):
    """Features `slope(x)@all` (x per unit of the order column), `line-start(x)@all` and `line-residual(x)@all` of each
    input x: the line's slope, its value at the window's first step, and the standard deviation of x around it.

    A series of one step has slope 0.
    """

    def statistics(self, columns: Columns) -> list[Statistic]:
        return [
            Statistic(f"{name}({x})", (columns.order, x), of)
            for x in self.chosen(columns)
            for name, of in (("slope", _slope), ("line-start", _start), ("line-residual", _residual))
        ]


def _slope(rows: Rows, order: Array, values: Array) -> Array:
    time = rows.centred(order)
    return ratio(rows.sum(time * rows.centred(values)), rows.sum(np.square(time)))


def _start(rows: Rows, order: Array, values: Array) -> Array:
    slope, before = _slope(rows, order, values), rows.first(rows.centred(order))
    return np.asarray(rows.mean(values) + slope * before)


def _residual(rows: Rows, order: Array, values: Array) -> Array:
    line = rows.spread(_slope(rows, order, values)) * rows.centred(order)
    return np.sqrt(rows.sum(np.square(rows.centred(values) - line)) / rows.lengths)
