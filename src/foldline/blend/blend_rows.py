"""The out-of-fold rows that a blend is fitted on.

Letters: M members, R scored rows (or answers of another kind) of the training table, K columns of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from foldline.data.true_answers import TrueAnswers

PARTS = 5  # of a single fold's series


@dataclass(frozen=True, kw_only=True)
class BlendRows(TrueAnswers):
    """Out-of-fold predictions and targets of scored rows: all that a blend is fitted on."""

    labels: tuple[str, ...]  # (M,)
    predictions: np.ndarray  # (M, R, K) float64
    fold: np.ndarray  # (R,) the fold of each row's series
    spread: np.ndarray | None = None  # (M, R, K) expected absolute error, where every member's head predicts it
    by: np.ndarray | None = None  # (R,) int64 code of the static value that has thresholds of its own (decisions.py)

    def where(self, chosen: np.ndarray) -> Self:
        """Select rows. chosen: (R,) bool, or indices."""
        return replace(
            super().where(chosen),
            predictions=self.predictions[:, chosen],
            fold=self.fold[chosen],
            spread=None if self.spread is None else self.spread[:, chosen],
            by=None if self.by is None else self.by[chosen],
        )

    def select_members(self, members: Sequence[int]) -> Self:
        """Select members by their numbers."""
        chosen = list(members)
        return replace(
            self,
            labels=tuple(self.labels[number] for number in chosen),
            predictions=self.predictions[chosen],
            spread=None if self.spread is None else self.spread[chosen],
        )

    def column(self, number: int) -> Self:
        """Select one column of the answers."""
        return replace(
            self,
            predictions=self.predictions[..., [number]],
            y=self.y[:, [number]],
            spread=None if self.spread is None else self.spread[..., [number]],
        )

    def sample(self, values: int, seed: int) -> Self:
        """Draw at most that many values (rows x targets) without replacement, in their order; all rows if they fit."""
        count = max(1, values // self.y.shape[1])
        if count >= len(self.y):
            return self
        return self.where(np.sort(np.random.default_rng(seed).choice(len(self.y), count, replace=False)))

    @property
    def cv_parts(self) -> np.ndarray:
        """Assign each row to a part of a cross-validation, (R,): parts share no unit.

        They are the folds; where there is one fold only, its series, or groups, are assigned to five parts in turn.
        """
        if len(np.unique(self.fold)) > 1:
            return self.fold
        return np.asarray(np.unique(self.units, return_inverse=True)[1] % PARTS)

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
