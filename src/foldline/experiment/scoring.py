"""Scores, blend and post-processing of finished cells, and test predictions.

Reads the cells' stored predictions only: it trains nothing and takes a second, so that [blend] and [post] can be
changed at no cost. Every reported score is nested: what is fitted for a fold's rows is fitted on the other folds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from foldline import blend
from foldline.blend import (
    Blend,
    BlendRows,
    MethodComparison,
    NestedPredictions,
    members,
    post_processing,
    tidying,
)
from foldline.blend.decisions import UNDECIDED, Decisions
from foldline.blend.fitted_blend import method_in_words
from foldline.blend.members import Member
from foldline.blend.post_processing import PostConfig
from foldline.blend.tidying import UNTIDIED, Tidying
from foldline.data import true_answers
from foldline.data.exact_rows import Exact
from foldline.data.folds import Folds
from foldline.data.metrics import Metric
from foldline.data.roles import DataConfig
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.data.target_grid import Grid
from foldline.data.target_range import TargetRange
from foldline.experiment import after_blend, baselines
from foldline.experiment.after_blend import MODELS_ALONE, STEP_NAMES
from foldline.experiment.config import Config

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


def combine(
    config: Config,
    experiment_members: Sequence[Member],
    store: Store,
    folds: Folds,
    exact: Exact | None,
    table: Table | None = None,
) -> Result:
    """Score and blend the members of an experiment whose cells are all finished.

    Args:
        exact: what a decoder read back from the training series' inputs, if post.decode is set.
        table: of the training series, for the trivial baselines; None: these are not wanted.
    """
    rows, predictions = blend_rows(experiment_members, config, store, folds)
    whole, store = store, counting(store, folds, predictions)
    several = len(experiment_members) > 1
    comparison = blend.choose_method(config.blend, rows) if config.blend.method_used == "auto" and several else None
    fitted = blend.fit(config.blend, rows, comparison.chosen if comparison else None)
    nested = blend.nested(config.blend, rows)
    steps = dict(zip(rows.labels, rows.predictions, strict=True))  # row of the score table -> (R scored, K)
    if several:
        steps[f"blend ({'auto: ' if comparison else ''}{method_in_words(fitted.method)})"] = nested.values
    steps |= after_blend.steps(config, nested, rows, store, exact)
    final = next(reversed(steps.values()))
    trivial = {} if table is None else _baselines(table, rows, whole, store, folds, config)
    grids = after_blend.grids_for_test(config, nested, rows)
    clipped = post_processing.clip(post_processing.snap(nested.values, grids), config.post.clip)
    blended = np.zeros((len(store.scored), final.shape[1]))
    blended[store.scored] = final
    return Result(
        labels=rows.labels,
        member_predictions=predictions,
        blended=blended,
        scored=store.scored,
        total=int(whole.scored.sum()),
        scores={name: by_fold(values, rows, range(folds.k)) for name, values in steps.items()},
        by_target={name: rows.by_target(values) for name, values in steps.items()},
        targets=tuple(store.task.columns) if rows.has_targets else (),
        blend=fitted,
        grids=grids,
        rows=rows,
        nested=nested,
        comparison=comparison,
        tidied=tidying.helpful(rows, clipped, config.post),
        decisions=after_blend.decisions_for_test(config, rows, clipped),
        baselines={name: by_fold(values, rows, range(folds.k)) for name, values in trivial.items()},
        baselines_by_target={name: rows.by_target(values) for name, values in trivial.items()},
        baseline_predictions=trivial,
    )


def counting(store: Store, folds: Folds, predictions: np.ndarray | None = None) -> Store:
    """Return a training table's store with the answers as scored that folds hold out and every member has predicted.

    predictions: (M, R, K) out of fold; None: of members that have predicted all that is held out.
    """
    counted = store.scored & (folds.assignment >= 0)[store.series_of_answer]
    if predictions is not None:
        counted = counted & np.isfinite(predictions).all(axis=(0, 2))
    return replace(store, scored=counted)


def blend_rows(
    experiment_members: Sequence[Member], config: Config, store: Store, folds: Folds
) -> tuple[BlendRows, np.ndarray]:
    """Gather the scored rows that a blend of these members is fitted on, and (M, R, K) all out-of-fold predictions.

    These are NaN where no fold holds an answer out.
    """
    assert store.labelled, "an experiment is scored on labelled series"
    predictions = np.stack([member.out_of_fold(store) for member in experiment_members])
    store = counting(store, folds, predictions)
    scored = store.scored
    spreads: list[np.ndarray | None] = []
    if "lightgbm" in (config.blend.method_used, *config.blend.candidates):  # no other method uses them
        spreads = [member.spread(store) for member in experiment_members]
    predicted = [values[scored] for values in spreads if values is not None]
    answers = true_answers.of_store(store, config.data)
    known_from = None if folds.time is None else folds.time.known_from[answers.series]
    rows = BlendRows(
        **vars(answers),
        labels=tuple(member.label for member in experiment_members),
        predictions=predictions[:, scored],
        fold=folds.assignment[answers.series],
        known_from=known_from,
        by=_codes(store, config.data.static.index(by), scored) if (by := config.post.thresholds_by) else None,
        spread=np.stack(predicted) if len(predicted) == len(experiment_members) else None,
    )
    return rows, predictions


def _baselines(
    table: Table, rows: BlendRows, whole: Store, counted: Store, folds: Folds, config: Config
) -> dict[str, np.ndarray]:
    """Predict `rows` by the trivial baselines; what no fold holds out is fitted on, too.

    Args:
        whole: the training series as they are; counted: with `rows` as the scored ones.
    """
    kept = np.asarray(counted.scored[whole.scored])
    if kept.all():
        return baselines.predictions(table, rows)
    true = true_answers.of_store(whole, config.data)
    none = np.empty((0, *true.y.shape))
    every = BlendRows(**vars(true), labels=(), predictions=none, fold=folds.assignment[true.series])
    return baselines.predictions(table, every, folds, kept)


def _codes(store: Store, column: int, answers: np.ndarray) -> np.ndarray:
    """Return the code of a static column of some answers, (a,) int64. answers: (A,) bool."""
    return np.asarray(store.static[store.series_of_answer[answers], column])


def by_fold(values: np.ndarray, rows: BlendRows, folds: Iterable[int]) -> list[float]:
    """Score in each of some folds, each of which has scored rows, then over all rows. values: (A, K)."""
    each = [rows.where(rows.fold == number).score_or_nan(values[rows.fold == number]) for number in folds]
    return [*each, rows.score(values)]


def predict(
    fitted: Blend,
    grids: list[Grid | None],
    post: PostConfig,
    experiment_members: Sequence[Member],
    store: Store,
    exact: Exact | None,
    decided: Decisions = UNDECIDED,
    tidied: Tidying = UNTIDIED,
) -> np.ndarray:
    """Predict the test table, (A, K): mean over folds and seeds of each member, then blend and post-processing."""
    fitted = fitted.without_zero_weights()
    used = members.by_labels(fitted.labels, experiment_members)
    predictions = np.stack([member.test(store) for member in used])
    spread = np.stack([member.test(store, spread=True) for member in used]) if fitted.needs_spread else None
    snapped = post_processing.snap(fitted.apply(predictions, spread), grids)
    clipped = tidied.apply(post_processing.clip(snapped, post.clip))
    by = None if decided.column < 0 else _codes(store, decided.column, np.ones(len(clipped), dtype=bool))
    done = decided.apply(clipped, by)
    return done if exact is None else post_processing.paste(done, exact.values)
