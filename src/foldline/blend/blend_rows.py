"""The out-of-fold rows that a blend is fitted on.

Letters: M members, R scored rows (or answers of another kind) of the training table, K columns of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from foldline.data.metrics import Metric, NotScorable

PARTS = 5  # of a single fold's series


@dataclass(frozen=True, kw_only=True)
class BlendRows:
    """Out-of-fold predictions and targets of scored rows: all that a blend is fitted on."""

    labels: tuple[str, ...]  # (M,)
    predictions: np.ndarray  # (M, R, K) float64
    y: np.ndarray  # (R, K) float64
    fold: np.ndarray  # (R,) the fold of each row's series
    series: np.ndarray  # (R,) int64, which series a row belongs to
    metric: Metric
    kind: str = "regression"  # of the target
    spread: np.ndarray | None = None  # (M, R, K) expected absolute error, where every member's head predicts it
    weight: np.ndarray | None = None  # (R,) how much a row counts, where the metric has weights; None: all alike
    by: np.ndarray | None = None  # (R,) int64 code of the static value that has thresholds of its own (decisions.py)
    groups: np.ndarray | None = None  # (R,) what the metric needs to know of a row besides: its group, or its number

    def where(self, chosen: np.ndarray) -> BlendRows:
        """Select rows. chosen: (R,) bool, or indices."""
        return replace(
            self,
            predictions=self.predictions[:, chosen],
            y=self.y[chosen],
            fold=self.fold[chosen],
            series=self.series[chosen],
            spread=None if self.spread is None else self.spread[:, chosen],
            weight=None if self.weight is None else self.weight[chosen],
            groups=None if self.groups is None else self.groups[chosen],
            by=None if self.by is None else self.by[chosen],
        )

    def select_members(self, members: Sequence[int]) -> BlendRows:
        """Select members by their numbers."""
        chosen = list(members)
        return replace(
            self,
            labels=tuple(self.labels[number] for number in chosen),
            predictions=self.predictions[chosen],
            spread=None if self.spread is None else self.spread[chosen],
        )

    def column(self, number: int) -> BlendRows:
        """Select one column of the answers."""
        return replace(
            self,
            predictions=self.predictions[..., [number]],
            y=self.y[:, [number]],
            spread=None if self.spread is None else self.spread[..., [number]],
        )

    def sample(self, values: int, seed: int) -> BlendRows:
        """Draw at most that many values (rows x targets) without replacement, in their order; all rows if they fit."""
        count = max(1, values // self.y.shape[1])
        if count >= len(self.y):
            return self
        return self.where(np.sort(np.random.default_rng(seed).choice(len(self.y), count, replace=False)))

    def score(self, values: np.ndarray) -> float:
        """Score predictions of these rows, (R, K), by the competition's metric."""
        return self.metric(self.y, values, self.weight, self.groups)

    def cost(self, values: np.ndarray) -> float:
        """Score them such that lower is better; infinite where the metric is not defined on these rows."""
        cost = self.metric.cost(self.score_or_nan(values))
        return cost if np.isfinite(cost) else np.inf

    def score_or_nan(self, values: np.ndarray) -> float:
        """Score predictions, (R, K); NaN where the metric is not defined on these rows, as an AUC of one class."""
        try:
            return self.score(values)
        except NotScorable:
            return float("nan")

    @property
    def cv_parts(self) -> np.ndarray:
        """Assign each row to a part of a cross-validation, (R,): parts share no series.

        They are the folds; where there is one fold only, its series are assigned to five parts in turn.
        """
        if len(np.unique(self.fold)) > 1:
            return self.fold
        return np.asarray(np.unique(self.series, return_inverse=True)[1] % PARTS)

    @property
    def row_weight(self) -> np.ndarray | None:
        """Weights of rows, (R,) of mean 1; None: all alike, also where all have the same weight."""
        if self.weight is None or not len(self.weight) or (self.weight == self.weight[0]).all():
            return None
        return np.asarray(self.weight / self.weight.mean())

    @property
    def value_weight(self) -> np.ndarray | None:
        """Weights of values, (R * K,), in the order of `errors`; None: all alike."""
        return None if self.row_weight is None else np.repeat(self.row_weight, self.y.shape[1])

    @property
    def errors(self) -> np.ndarray:
        """Compute (R * K, M) prediction minus truth."""
        return np.asarray((self.predictions - self.y).reshape(len(self.labels), -1).T)
