"""What the trees of a stack see of an answer's series, besides predictions: statistics of features over its steps.

Which features, `blend.aggregates` says. No target is among them, and no other series: they are the same whether a
series stands alone or in a table, and nothing is fitted to get them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from foldline.core.errors import unknown
from foldline.data.store import Store

STATISTICS = 4  # of each feature: mean, standard deviation, lowest, highest
ROWS_AT_ONCE = 1 << 20


def places(features: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the places of some names among those of all features.

    Raises:
        UserError: there is no such feature.
    """
    for name in names:
        if name not in features:
            raise unknown("feature", name, features, "blend.aggregates")
    return [features.index(name) for name in names]


def of_answers(store: Store, names: Sequence[str], answers: np.ndarray | None = None) -> np.ndarray | None:
    """Return what trees see of the series of some answers, (a, 1 + 4 G) float32; None: no features are named.

    The number of steps, then the statistics of each of G features; NaN where a series has no value of one.

    Args:
        store: of the series with their features.
        names: of the features.
        answers: (A,) bool, which of them; None: all.

    Raises:
        UserError: there is no such feature.
    """
    if not names:
        return None
    of_series = np.empty((len(store.lengths), 1 + STATISTICS * len(names)), dtype=np.float32)
    of_series[:, 0] = store.lengths
    columns = places(store.names, names)
    for some in _few_rows(store.lengths):
        rows = slice(int(store.offsets[some.start]), int(store.offsets[some.stop - 1] + store.lengths[some.stop - 1]))
        for number, column in enumerate(columns):
            first = 1 + STATISTICS * number
            statistics = _statistics(np.asarray(store.x[rows, column]), store.lengths[some])
            of_series[some, first : first + STATISTICS] = statistics
    series = store.series_of_answer
    return np.asarray(of_series[series if answers is None else series[answers]])


def _few_rows(lengths: np.ndarray) -> Iterator[slice]:
    """Yield the series in parts of at most ROWS_AT_ONCE rows, one series at least."""
    ends, first = np.cumsum(lengths), 0
    while first < len(lengths):
        last = int(np.searchsorted(ends, ends[first] - lengths[first] + ROWS_AT_ONCE, side="right"))
        yield slice(first, max(last, first + 1))
        first = max(last, first + 1)


def _statistics(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return mean, standard deviation, lowest and highest of each series' values (R,): (N, 4); NaN of none."""
    values = values.astype(np.float64)
    starts, there = np.cumsum(lengths) - lengths, ~np.isnan(values)
    count = np.add.reduceat(there.astype(np.float64), starts)
    some = np.where(count > 0, count, np.nan)
    mean = np.add.reduceat(np.where(there, values, 0.0), starts) / some
    off = np.where(there, values - np.repeat(mean, lengths), 0.0)
    deviation = np.sqrt(np.add.reduceat(np.square(off), starts) / some)
    lowest = np.minimum.reduceat(np.where(there, values, np.inf), starts)
    highest = np.maximum.reduceat(np.where(there, values, -np.inf), starts)
    none = count == 0
    return np.stack([mean, deviation, np.where(none, np.nan, lowest), np.where(none, np.nan, highest)], axis=1)
