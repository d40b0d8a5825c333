"""Scores and intervals of a metric that is no mean of losses: it is computed again for every fold and every resample.

Letters: V variants, S seeds, k folds, A scored answers, K columns, G groups (of one series each without data.group).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from foldline.data.metrics import NotScorable
from foldline.data.metrics.resampling import Draw
from foldline.data.true_answers import TrueAnswers
from foldline.evidence.ablation.bootstrap import draws_of
from foldline.evidence.ablation.fold_values import either, fold_values

MOST_ANSWERS = 200_000_000  # scored in all resamples together: about a minute of AUC
A_CALL = 1000  # answers that take as long as a call of a metric itself
FEWEST = 100  # resamples, whatever they cost


class Resampled(NamedTuple):
    """Intervals of effects, and what they were made from."""

    intervals: np.ndarray  # (V, 2) 95 %, NaN where no resample has a score
    draws: int
    undefined: int  # of these, left out: a config has no score on them


@dataclass(frozen=True)
class ScoredAnswers:
    """The answers that a metric counts, in any order."""

    true: TrueAnswers
    fold: np.ndarray  # (A,); a unit, which is drawn whole, is in one fold

    def score(self, predicted: np.ndarray, answers: np.ndarray) -> float:
        """Score some answers. predicted: (A, K); answers: (A,) bool, or places."""
        return self.true.where(answers).score(predicted[answers])

    def fold_scores(self, predicted: np.ndarray) -> tuple[np.ndarray, bool]:
        """Compute (1 + V, k, S) values of folds (fold_values.py), and whether folds are pooled; the same for all.

        predicted: (1 + V, S, A, K).
        """
        folds = np.unique(self.fold).tolist()

        def values(pool: bool) -> np.ndarray:
            each = [
                fold_values(lambda answers, of=one: self.score(of, answers), self.fold, folds, pool)  # type: ignore[misc]
                for one in predicted.reshape(-1, *predicted.shape[2:])
            ]
            return np.stack(each).reshape(*predicted.shape[:2], len(folds)).swapaxes(1, 2)

        return either(values)

    def effect_intervals(
        self, predicted: np.ndarray, draws: int, pooled: bool, update: Callable[[int, int], None], seed: int = 0
    ) -> Resampled:
        """Draw groups inside their folds, and seeds, with replacement, and score all configs on the same draws.

        Args:
            predicted: (1 + V, S, A, K), the baseline's first.
            draws: resamples; fewer where they would cost more than MOST_ANSWERS.
            pooled: scores are those of all folds together, not means over folds.
            update: of a progress bar, (done, of).
        """
        draws, done, effects = self._affordable(predicted, draws, pooled), 0, list[np.ndarray]()
        fold_of_group = np.full(int(self.true.units.max()) + 1, -1)  # of a group without answers: it is not drawn
        fold_of_group[self.true.units] = self.fold
        for weights, picks in draws_of(fold_of_group, predicted.shape[1], draws, seed):
            for weight, pick in zip(weights.astype(np.int64), picks, strict=True):
                done += 1
                try:
                    costs = self._resampled(predicted, weight, pick, pooled)
                    effects.append(costs[1:] - costs[0])
                except NotScorable:
                    pass  # counted below
                update(done, draws)
        if not effects:
            return Resampled(np.full((len(predicted) - 1, 2), np.nan), draws, draws)
        return Resampled(np.percentile(effects, [2.5, 97.5], axis=0).T, draws, draws - len(effects))

    def _affordable(self, predicted: np.ndarray, draws: int, pooled: bool) -> int:
        """Bound the number of resamples."""
        calls = 1 if pooled else len(np.unique(self.fold))
        cost = predicted.shape[0] * predicted.shape[1] * (self.true.effort + calls * A_CALL)
        return min(draws, max(FEWEST, int(MOST_ANSWERS // cost)))

    def _resampled(self, predicted: np.ndarray, weight: np.ndarray, picks: np.ndarray, pooled: bool) -> np.ndarray:
        """Compute (1 + V,) scores of a resample. weight: (G,) how often each group is drawn; picks: (S,) seeds."""
        units = self.true.units
        times = weight[units]
        rows = np.repeat(np.arange(len(times)), times)
        copy = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
        drawn = self.true.drawn(Draw(rows, units[rows] + copy * len(weight)))
        parts = [np.ones(len(rows), bool)] if pooled else [self.fold[rows] == each for each in np.unique(self.fold)]
        found = np.zeros(len(predicted))
        for part in parts:
            answers, places = drawn.where(part), rows[part]
            for seed, count in zip(*np.unique(picks, return_counts=True), strict=True):
                scores = [answers.score(one[seed][places]) for one in predicted]
                found += count / len(picks) / len(parts) * np.array(scores)
        return found
