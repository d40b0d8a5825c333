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
    aggregates: np.ndarray | None = None  # (R, G) float32 statistics of each row's series (series_aggregates.py)
    known_from: np.ndarray | None = None  # (R,) int64, time folds: first fold before whose gap the row's series ends
    by: np.ndarray | None = None  # (R,) int64 code of the static value that has thresholds of its own (decisions.py)

    def where(self, chosen: np.ndarray) -> Self:
        """Select rows. chosen: (R,) bool, or indices."""
        return replace(
            super().where(chosen),
            predictions=self.predictions[:, chosen],
            fold=self.fold[chosen],
            spread=None if self.spread is None else self.spread[:, chosen],
            aggregates=None if self.aggregates is None else self.aggregates[chosen],
            known_from=None if self.known_from is None else self.known_from[chosen],
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
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """List for each part of the rows which these are, and which rows may fit what is applied to them: (R,) bool.

        Those are all other parts; with time folds what is known before the fold's gap, of other groups: none of the
        first fold.
        """
        if self.known_from is None:
            parts = self.cv_parts
            return [(parts == part, parts != part) for part in np.unique(parts)]
        found = []
        for fold in np.unique(self.fold):
            held, others = self.fold == fold, self.known_from <= fold
            if self.subject is not None:
                others &= ~np.isin(self.subject, self.subject[held])
            found.append((held, others))
        return found

    @property
    def cv_parts(self) -> np.ndarray:
        """Assign each row to a part of a cross-validation, (R,): parts share no unit.

        They are the folds; where there is one fold only, or time folds share groups, series or groups are assigned to
        five parts in turn. It is for choices inside a fit: what is scored comes from `splits`.
        """
        if len(np.unique(self.fold)) > 1 and (self.known_from is None or self.subject is None):
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
