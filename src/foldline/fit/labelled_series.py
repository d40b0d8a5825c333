"""Series with what is learnt from them: the target of each row, where it is known, and how much the row counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foldline.data.store import Store


@dataclass(frozen=True)
class LabelledSeries:
    """Some series of a store with their labels, which may be pseudo-labels. n series, r rows, K targets."""

    store: Store
    series: np.ndarray  # (n,) indices into the store
    y: np.ndarray  # (r, K) float64 targets, in their own unit; 0 where they are not known
    known: np.ndarray  # (r, K) bool, whether a target's value is given
    weight: np.ndarray  # (r,) float32, how much a row counts in the loss; 0: not at all

    def subset(self, chosen: np.ndarray) -> LabelledSeries:
        """Keep some of the series. chosen: (n,) bool."""
        rows = np.repeat(chosen, self.store.lengths[self.series])
        return LabelledSeries(self.store, self.series[chosen], self.y[rows], self.known[rows], self.weight[rows])


def labelled_series(store: Store, series: np.ndarray) -> LabelledSeries:
    """Take series of a training table as they are: each scored row counts 1."""
    assert store.labelled, "labelled series are needed"
    return _as_stored(store, series)


def unlabelled_series(store: Store, series: np.ndarray) -> LabelledSeries:
    """Take series whose targets shall be predicted: nothing but a known start is given."""
    return _as_stored(store, series)


def _as_stored(store: Store, series: np.ndarray) -> LabelledSeries:
    rows = store.rows(series)
    return LabelledSeries(
        store, series, np.asarray(store.y[rows]), store.known[rows], store.scored[rows].astype(np.float32)
    )
