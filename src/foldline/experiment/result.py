"""What came of an experiment: its fitted blend, its scores, and the table that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from foldline.data.metrics import Metric
from foldline.data.roles import DataConfig
from foldline.data.store import Store
from foldline.data.target_grid import Grid
from foldline.data.target_range import TargetRange
from foldline.ensemble import Blend, BlendRows, MethodComparison, NestedPredictions
from foldline.ensemble.decisions import UNDECIDED, Decisions
from foldline.ensemble.tidying import UNTIDIED, Tidying
from foldline.experiment.after_blend import STEP_NAMES
from foldline.experiment.runs_index import MODELS_ALONE

MOST_TARGETS = 6  # that have a column each in the score table
SUMMARY_OF_TARGETS = ("mean of targets", "best", "worst")  # columns where there are more
BASELINE = "baseline: "  # before the name of one, in the score table


@dataclass(frozen=True)
class Result:
    """Scores and fitted blend of an experiment. M members, R answers of the training table, K columns of each."""

    labels: tuple[str, ...]  # (M,)
    member_predictions: np.ndarray  # (M, R, K) out of fold
    blended: np.ndarray  # (R, K) nested out-of-fold blend after post-processing, 0 where not scored: has the score
    scored: np.ndarray  # (R,) bool, the answers in `rows`: scored ones that every member has predicted out of fold
    total: int  # scored answers of the training table, whether or not a fold holds them out
    scores: dict[str, list[float]]  # row of the score table -> its score in each fold, then over all rows
    by_target: dict[str, list[float]]  # the same rows -> (K,) scores over all rows; empty where columns are classes
    targets: tuple[str, ...]  # (K,) names of these
    blend: Blend  # fitted on all out-of-fold rows: what test predictions get
    grids: list[Grid | None]  # (K,) that test predictions are rounded to; None: they are not
    rows: BlendRows  # what the blend was fitted on
    nested: NestedPredictions  # the blend before post-processing, each fold by weights fitted on the others
    comparison: MethodComparison | None  # of the candidates, where the method is "auto"
    baselines: dict[str, list[float]] = field(default_factory=dict)  # trivial ones -> scores, as `scores` has them
    baselines_by_target: dict[str, list[float]] = field(default_factory=dict)  # the same -> as `by_target` has them
    baseline_predictions: dict[str, np.ndarray] = field(default_factory=dict)  # the same -> of the rows, (R scored, K)
    tidied: Tidying = UNTIDIED  # what test predictions are rounded to, and whether they are renormalised
    decisions: Decisions = UNDECIDED  # on the labels of test predictions

    @property
    def expected(self) -> list[TargetRange]:
        """Return range and digits of each target, (K,), as the gate expects them of a submission."""
        return TargetRange.of(self.tidied.apply(self.rows.y))

    @property
    def score(self) -> float:
        """Return the out-of-fold score of what is submitted."""
        return next(reversed(self.scores.values()))[-1]

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Return the ends of the 95 % interval of the score, over series or their groups; NaN for a single one."""
        found = self.rows.interval(self.blended[self.scored])
        return found.low, found.high

    def counted(self, store: Store) -> Store:
        """Return the training table's store with just the answers as scored that have a score here."""
        return replace(store, scored=self.scored)

    def counted_answers(self, data: DataConfig) -> str:
        """Name what a score is computed over, the folds together: not all answers where folds don't hold each out."""
        count = len(self.rows.y)
        if count == self.total:
            return all_answers(data)
        return f"{count:,} of {self.total:,} {data.answers_called}"

    @property
    def models_alone(self) -> float | None:
        """Return the out-of-fold score before exact rows took the place of predictions; None where none did."""
        return self.scores[MODELS_ALONE][-1] if MODELS_ALONE in self.scores else None

    @property
    def processed(self) -> list[str]:
        """Name the steps of post-processing that changed the blend, as in sentences."""
        return [name for step, name in STEP_NAMES.items() if step in self.scores]

    @property
    def best_baseline(self) -> str:
        """Name the trivial baseline with the best score over all rows; empty where none was scored."""
        return min(self.baselines, key=lambda name: self.rows.metric.cost(self.baselines[name][-1]), default="")

    @property
    def lost(self) -> list[str]:
        """Name the rows of the score table that lose to the best trivial baseline."""
        if not self.baselines:
            return []
        to_beat = self.baselines[self.best_baseline][-1]
        return [name for name, scores in self.scores.items() if self.rows.metric.is_better(to_beat, scores[-1])]

    def warning(self, data: DataConfig) -> str:
        """Say which models or steps lose to a trivial baseline, in a sentence; empty where none does."""
        if not self.lost:
            return ""
        losing = ", ".join(f"{name} ({self.scores[name][-1]:.4f})" for name in self.lost)
        best = self.best_baseline
        return f"worse than the trivial baseline {best!r} ({data.metric} {self.baselines[best][-1]:.4f}): {losing}."

    def table(self, data: DataConfig, digits: int = 4) -> tuple[list[str], list[list[str]]]:
        """Return the score table's columns and rows: by fold, by target where there are several, and over all rows.

        Trivial baselines come first: the last row is what is submitted.
        """
        folds = len(next(iter(self.scores.values()))) - 1
        columns = [f"out-of-fold {data.metric}", *(f"fold {number}" for number in range(folds))]
        columns += [*target_columns(self.targets), self.counted_answers(data)]
        rows = []
        named = {BASELINE + name: values for name, values in self.baselines.items()} | self.scores
        by_target = {BASELINE + name: values for name, values in self.baselines_by_target.items()} | self.by_target
        for name, (*each, whole) in named.items():
            values = [*each, *target_values(by_target[name], self.rows.metric), whole]
            rows.append([name, *(f"{value:.{digits}f}" for value in values)])
        return columns, rows


def all_answers(data: DataConfig) -> str:
    """Name what a score is computed over, the folds together."""
    return f"all {data.answers_called}"


def target_columns(targets: Sequence[str]) -> Sequence[str]:
    """Name the columns of single targets: none of one target, three of many, which would be a letter wide."""
    if len(targets) < 2:
        return ()
    return targets if len(targets) <= MOST_TARGETS else SUMMARY_OF_TARGETS


def target_values(scores: Sequence[float], metric: Metric) -> Sequence[float]:
    """Return what stands in the columns of single targets. scores: (K,) of each target, NaN of one that has none."""
    if len(scores) < 2:
        return ()
    if len(scores) <= MOST_TARGETS:
        return scores
    ordered = sorted((score for score in scores if not np.isnan(score)), key=metric.cost) or [float("nan")]
    return [float(np.mean(ordered)), ordered[0], ordered[-1]]
