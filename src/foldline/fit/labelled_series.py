"""Series with what is learnt from them: each step's target and how much it counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foldline.data.store import Dense


@dataclass(frozen=True)
class LabelledSeries:
    """Some series of a store and what is learnt from them: labelled ones, or test series that a teacher labelled."""

    dense: Dense
    series: np.ndarray  # (n,) indices into `dense`
    y: np.ndarray  # (n, T, K) float64 targets, in their own unit
    weight: np.ndarray  # (n, T) float32, how much each step counts; 0: not at all


def labelled_series(dense: Dense, series: np.ndarray) -> LabelledSeries:
    """Labelled series as they are: each scored step counts 1."""
    assert dense.y is not None, "labelled series are needed"
    return LabelledSeries(dense, series, np.asarray(dense.y[series]), dense.scored[series].astype(np.float32))
