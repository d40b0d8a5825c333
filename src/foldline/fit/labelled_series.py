"""Series to train on or to predict: the target of each row, whether it is known, and how much the row counts.

`known` is a boolean for each (row, target): its value is given. All targets of a training table are known; of a test
table those of a known start are (data.observed), and those that pseudo-labels give. What stands in `y` elsewhere means
nothing: no loss and no autoregressive network may read it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foldline.data.store import Store
from foldline.data.time_spans import TimeSpans


@dataclass(frozen=True)
class LabelledSeries:
    """Some series of a store with their labels, which may be pseudo-labels. n series, a answers, K columns."""

    store: Store
    series: np.ndarray  # (n,) indices into the store
    y: np.ndarray  # (a, K) float64 targets, in their own unit; meaningless where they are not known
    known: np.ndarray  # (a, K) bool, whether a target's value is given
    weight: np.ndarray  # (a,) float32, how much one counts in the loss; above 0 all its targets must be known
    scored: np.ndarray  # (a,) bool, those that the metric counts, whether or not they have a label here
    spans: TimeSpans | None = None  # when each series is, where folds go by time: the latest ones are watched

    @property
    def in_start(self) -> np.ndarray:
        """Whether each answer is in the known start of its series, or given elsewhere (data.known), (a,) bool."""
        return np.asarray(self.store.in_start[self.store.answers(self.series)])

    def at(self, spans: TimeSpans | None) -> LabelledSeries:
        """Return the same series with the times at which they are. spans: of each, where folds go by time."""
        return replace(self, spans=spans)

    def relabelled(self, y: np.ndarray) -> LabelledSeries:
        """Return the same series with other labels. y: (A, K) of all answers of the store, in the targets' own unit."""
        return replace(self, y=y[self.store.answers(self.series)])

    def subset(self, chosen: np.ndarray) -> LabelledSeries:
        """Return some of the series. chosen: (n,) bool."""
        answers = np.repeat(chosen, self.store.answers_of_series[self.series])
        values = (self.y[answers], self.known[answers], self.weight[answers], self.scored[answers])
        spans = None if self.spans is None else self.spans.of(chosen)
        return LabelledSeries(self.store, self.series[chosen], *values, spans)


def labelled_series(store: Store, series: np.ndarray) -> LabelledSeries:
    """Return series of a training table as they are: scored answers count 1, or their weight by the mean of all.

    series: (n,) indices.
    """
    assert store.labelled, "labelled series are needed"
    answers = store.answers(series)
    scored = store.scored[answers]
    weight = weight_of(store, answers, scored)
    return LabelledSeries(store, series, np.asarray(store.y[answers]), store.known[answers], weight, scored)


def weight_of(store: Store, answers: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """Return how much answers (a,) count, (a,) float32: scored ones, (a,) bool, 1, or their weight by the mean."""
    return scored.astype(np.float32) if store.weight is None else _mean_one(store.weight[answers], scored)


def _mean_one(weight: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """Divide weights by their mean over the scored answers: (a,) float32, 0 where not scored; equal ones are just 1."""
    counted = weight[scored]
    mean = counted.mean() if len(counted) and counted.any() else 1.0
    mean = counted[0] if len(counted) and (counted == counted[0]).all() and counted[0] > 0 else mean
    return np.asarray(np.where(scored, weight / mean, 0.0), dtype=np.float32)


def unlabelled_series(store: Store, series: np.ndarray) -> LabelledSeries:
    """Return series to be predicted, of any table: no targets are given but known ones. series: (n,) indices."""
    answers = store.answers(series)
    known = store.known[answers] & store.in_start[answers, None]
    scored = store.scored[answers]
    y = np.where(known, store.y[answers], 0.0)
    return LabelledSeries(store, series, y, known, scored.astype(np.float32), scored)
