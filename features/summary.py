"""summary: how many steps a series has, and where each input lies, starts, ends and how far it moves."""

from dataclasses import dataclass

import numpy as np

from foldline.features.family import Columns
from foldline.features.per_series import Array, Counts, Rows, SeriesFamily, Statistic


@dataclass(frozen=True, kw_only=True)
class Summary(SeriesFamily):
    """Features `count@all`, the number of steps, then for each input x (`mean(x)@all` and so on) mean, std, min, max,
    first, last, `last-mean` and `travel`, the sum of the absolute differences between steps.

    std is that of the steps themselves (divided by their number), so that it is 0 for one step.
    """

    def statistics(self, columns: Columns) -> list[Statistic]:
        return [Statistic("count", (columns.order,), _count)] + [
            Statistic(f"{name}({x})", (x,), of) for x in self.chosen(columns) for name, of in STATISTICS.items()
        ]


def _count(rows: Rows, order: Array) -> Counts:
    return rows.lengths


def _std(rows: Rows, values: Array) -> Array:
    return np.sqrt(rows.sum(np.square(rows.centred(values))) / rows.lengths)


def _last_to_mean(rows: Rows, values: Array) -> Array:
    return rows.last(values) - rows.mean(values)


def _travel(rows: Rows, values: Array) -> Array:
    return rows.sum(np.abs(rows.changes(values)))


STATISTICS = {
    "mean": Rows.mean,
    "std": _std,
    "min": Rows.min,
    "max": Rows.max,
    "first": Rows.first,
    "last": Rows.last,
    "last-mean": _last_to_mean,
    "travel": _travel,
}
