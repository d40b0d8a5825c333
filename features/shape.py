"""shape: peaks, crossings, runs, and where in a series its extremes are."""

from dataclasses import dataclass

import numpy as np

from foldline.features.family import Columns
from foldline.features.per_series import Array, Counts, Flags, Rows, SeriesFamily, Statistic, ratio


@dataclass(frozen=True, kw_only=True)
class Shape(SeriesFamily):
    """Features of each input x, such as `peaks(x)@all`: peaks, zero-crossings, mean-crossings, run-above-mean,
    max-place and min-place.

    A peak is higher than both its neighbours. A crossing is a step where x > 0 (or x > mean) differs from the step
    before. A run is a number of steps in a row with x > mean; the longest counts. A place is that of the first maximum
    or minimum, from 0 at the first step to 1 at the last; 0 for one step.
    """

    def statistics(self, columns: Columns) -> list[Statistic]:
        return [Statistic(f"{name}({x})", (x,), of) for x in self.chosen(columns) for name, of in STATISTICS.items()]


def _peaks(rows: Rows, values: Array) -> Array:
    rising = rows.changes(values) > 0.0
    falling = rows.changes(values) < 0.0
    falls_next = np.append(falling[1:], False)  # the first row of the next series does not fall
    return rows.sum(rising & falls_next)


def _crossings(rows: Rows, above: Flags) -> Array:
    return rows.sum(np.diff(above, prepend=False) & rows.inner)


def _zero_crossings(rows: Rows, values: Array) -> Array:
    return _crossings(rows, values > 0.0)


def _mean_crossings(rows: Rows, values: Array) -> Array:
    return _crossings(rows, rows.centred(values) > 0.0)


def _run_above_mean(rows: Rows, values: Array) -> Counts:
    above = rows.centred(values) > 0.0
    place = np.arange(len(above))
    # The row before the run that a row belongs to: the latest one not above, or the last of the series before.
    before = np.maximum.accumulate(np.where(above, np.where(rows.inner, -1, place - 1), place))
    return np.asarray(rows.max(place - before))


def _place(rows: Rows, found: Flags) -> Array:
    first = rows.min(np.where(found, rows.step, len(found)))
    return ratio(first.astype(np.float64), (rows.lengths - 1).astype(np.float64))


def _max_place(rows: Rows, values: Array) -> Array:
    return _place(rows, values == rows.spread(rows.max(values)))


def _min_place(rows: Rows, values: Array) -> Array:
    return _place(rows, values == rows.spread(rows.min(values)))


STATISTICS = {
    "peaks": _peaks,
    "zero-crossings": _zero_crossings,
    "mean-crossings": _mean_crossings,
    "run-above-mean": _run_above_mean,
    "max-place": _max_place,
    "min-place": _min_place,
}
