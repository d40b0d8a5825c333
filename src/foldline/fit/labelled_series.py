"""Series to train on or to predict: the target of each row, whether it is known, and how much the row counts.

`known` is a boolean for each (row, target): its value is given. All targets of a training table are known; of a test
table those of a known start are (data.observed), and those that pseudo-labels give. What stands in `y` elsewhere means
nothing: no loss and no autoregressive network may read it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foldline.data.store import Store


@dataclass(frozen=True)
class LabelledSeries:
    """Some series of a store with their labels, which may be pseudo-labels. n series, r rows, K targets."""

    store: Store
    series: np.ndarray  # (n,) indices into the store
    y: np.ndarray  # (r, K) float64 targets, in their own unit; meaningless where they are not known
    known: np.ndarray  # (r, K) bool, whether a target's value is given
    weight: np.ndarray  # (r,) float32, how much a row counts in the loss; above 0 all its targets must be known
    scored: np.ndarray  # (r,) bool, rows that the metric counts, whether or not they have a label here

    def subset(self, chosen: np.ndarray) -> LabelledSeries:
        """Return some of the series. chosen: (n,) bool."""
        rows = np.repeat(chosen, self.store.lengths[self.series])
        values = (self.y[rows], self.known[rows], self.weight[rows], self.scored[rows])
        return LabelledSeries(self.store, self.series[chosen], *values)


def labelled_series(store: Store, series: np.ndarray) -> LabelledSeries:
    """Return series of a training table as they are: each scored row counts 1. series: (n,) indices."""
    assert store.labelled, "labelled series are needed"
    rows = store.rows(series)
    scored = store.scored[rows]
    return LabelledSeries(
        store, series, np.asarray(store.y[rows]), store.known[rows], scored.astype(np.float32), scored
    )


def unlabelled_series(store: Store, series: np.ndarray) -> LabelledSeries:
    """Return series to be predicted, of any table: no targets are given but a known start. series: (n,) indices."""
    rows = store.rows(series)
    known = store.known[rows] & (store.step_of_row[rows] < store.observed)[:, None]
    scored = store.scored[rows]
    return LabelledSeries(store, series, np.where(known, store.y[rows], 0.0), known, scored.astype(np.float32), scored)
