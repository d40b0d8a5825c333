"""Scores, blend and post-processing of finished cells, and test predictions.

Reads the cells' stored predictions only: it trains nothing and takes a second, so that [blend] and [post] can be
changed at no cost. Every reported score is nested: what is fitted for a fold's rows is fitted on the other folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from foldline import blend
from foldline.blend import (
    Blend,
    BlendRows,
    MethodComparison,
    NestedPredictions,
    decisions,
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
from foldline.data.task import SHARES
from foldline.experiment import baselines
from foldline.experiment.config import Config
from foldline.experiment.runs_index import EXACT_ROWS

MOST_TARGETS = 6  # that have a column each in the score table
SUMMARY_OF_TARGETS = ("mean of targets", "best", "worst")  # columns where there are more
SNAPPED, CLIPPED, MODELS_ALONE = "snapped to the grid", "clipped", "models alone"  # rows of the score table
BASELINE = "baseline: "  # before the name of one, in the score table
TIDIED: dict[tidying.Step, str] = {"decimals": "rounded", "renormalise": "divided by the sum"}  # likewise
DECIDED = {step: f"{step} fitted" for step in decisions.STEPS.values()}  # what is decided by -> row of the score table
STEP_NAMES = {  # the rows in sentences
    SNAPPED: "grid",
    CLIPPED: "clipping",
    TIDIED["decimals"]: "rounding",
    TIDIED["renormalise"]: "renormalising",
    **{row: step for step, row in DECIDED.items()},
    EXACT_ROWS: "exact rows",
}


@dataclass(frozen=True)
class Result:
    """Scores and fitted blend of an experiment. M members, R answers of the training table, K columns of each."""

    labels: tuple[str, ...]  # (M,)
    member_predictions: np.ndarray  # (M, R, K) out of fold
    blended: np.ndarray  # (R, K) nested out-of-fold blend after post-processing, 0 where not scored: has the score
    scored: np.ndarray  # (R,) bool, the answers in `rows`
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
        columns += [*target_columns(self.targets), all_answers(data)]
        rows = []
        named = {BASELINE + name: values for name, values in self.baselines.items()} | self.scores
        by_target = {BASELINE + name: values for name, values in self.baselines_by_target.items()} | self.by_target
        for name, (*each, whole) in named.items():
            values = [*each, *target_values(by_target[name], self.rows.metric), whole]
            rows.append([name, *(f"{value:.{digits}f}" for value in values)])
        return columns, rows


def all_answers(data: DataConfig) -> str:
    """Name what a score is computed over, the folds together."""
    return "all series" if data.level == "series" else "all rows"


def target_columns(targets: Sequence[str]) -> Sequence[str]:
    """Name the columns of single targets: none of one target, three of many, which would be a letter wide."""
    if len(targets) < 2:
        return ()
    return targets if len(targets) <= MOST_TARGETS else SUMMARY_OF_TARGETS


def target_values(scores: Sequence[float], metric: Metric) -> Sequence[float]:
    """Return what stands in the columns of single targets. scores: (K,) of each target."""
    if len(scores) < 2:
        return ()
    if len(scores) <= MOST_TARGETS:
        return scores
    ordered = sorted(scores, key=metric.cost)
    return [float(np.mean(scores)), ordered[0], ordered[-1]]


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
    several = len(experiment_members) > 1
    comparison = blend.choose_method(config.blend, rows) if config.blend.method_used == "auto" and several else None
    fitted = blend.fit(config.blend, rows, comparison.chosen if comparison else None)
    nested = blend.nested(config.blend, rows)
    steps = dict(zip(rows.labels, rows.predictions, strict=True))  # row of the score table -> (R scored, K)
    if several:
        steps[f"blend ({'auto: ' if comparison else ''}{method_in_words(fitted.method)})"] = nested.values
    steps |= _post_processed(config, nested, rows, store, exact)
    final = next(reversed(steps.values()))
    trivial = {} if table is None else baselines.predictions(table, rows)
    grids = _grids_of_all_rows(config, nested, rows)
    clipped = post_processing.clip(post_processing.snap(nested.values, grids), config.post.clip)
    blended = np.zeros((len(store.scored), final.shape[1]))
    blended[store.scored] = final
    return Result(
        labels=rows.labels,
        member_predictions=predictions,
        blended=blended,
        scored=store.scored,
        scores={name: _by_fold(values, rows, folds.k) for name, values in steps.items()},
        by_target={name: rows.by_target(values) for name, values in steps.items()},
        targets=tuple(store.task.columns) if rows.has_targets else (),
        blend=fitted,
        grids=grids,
        rows=rows,
        nested=nested,
        comparison=comparison,
        tidied=tidying.helpful(rows, clipped, config.post),
        decisions=_decisions(config, rows, clipped),
        baselines={name: _by_fold(values, rows, folds.k) for name, values in trivial.items()},
        baselines_by_target={name: rows.by_target(values) for name, values in trivial.items()},
    )


def blend_rows(
    experiment_members: Sequence[Member], config: Config, store: Store, folds: Folds
) -> tuple[BlendRows, np.ndarray]:
    """Gather the scored rows that a blend of these members is fitted on, and (M, R, K) all out-of-fold predictions."""
    assert store.labelled, "an experiment is scored on labelled series"
    scored = store.scored
    predictions = np.stack([member.out_of_fold(store) for member in experiment_members])
    spreads: list[np.ndarray | None] = []
    if "lightgbm" in (config.blend.method_used, *config.blend.candidates):  # no other method uses them
        spreads = [member.spread(store) for member in experiment_members]
    predicted = [values[scored] for values in spreads if values is not None]
    answers = true_answers.of_store(store, config.data)
    rows = BlendRows(
        **vars(answers),
        labels=tuple(member.label for member in experiment_members),
        predictions=predictions[:, scored],
        fold=folds.assignment[answers.series],
        by=_codes(store, config.data.static.index(by), scored) if (by := config.post.thresholds_by) else None,
        spread=np.stack(predicted) if len(predicted) == len(experiment_members) else None,
    )
    return rows, predictions


def _codes(store: Store, column: int, answers: np.ndarray) -> np.ndarray:
    """Return the code of a static column of some answers, (a,) int64. answers: (A,) bool."""
    return np.asarray(store.static[store.series_of_answer[answers], column])


def _decisions(config: Config, rows: BlendRows, clipped: np.ndarray) -> Decisions:
    """Decisions on test predictions, fitted to all out-of-fold rows; clipped: (R, K), as for grids."""
    found, by = decisions.helpful(rows, clipped, config.post), config.post.thresholds_by
    return replace(found, column=config.data.static.index(by)) if found.own else found


def _post_processed(
    config: Config, nested: NestedPredictions, rows: BlendRows, store: Store, exact: Exact | None
) -> dict[str, np.ndarray]:
    """Step -> scored rows after it, in order, where it changed any."""
    done: dict[str, np.ndarray] = {}
    values = snapped_by_fold(nested, rows) if _snaps(config, rows) else nested.values
    if not np.array_equal(values, nested.values):
        done[SNAPPED] = values
    if not np.array_equal(post_processing.clip(values, config.post.clip), values):
        values = post_processing.clip(values, config.post.clip)
        if not (config.post.renormalise and rows.kind in SHARES):  # else they have a score after the next step only
            done[CLIPPED] = values
    clipped = values
    for step in tidying.asked(config.post):
        tidied = tidying.by_fold(clipped, nested.fitted, rows, config.post, step)
        if not np.array_equal(tidied, values):
            done[TIDIED[step]] = values = tidied
    decided = decisions.by_fold(values, nested.fitted, rows, config.post)
    if decided is not values:
        done[DECIDED[decisions.step_of(rows, config.post)]] = values = decided
    if exact is not None:
        done[MODELS_ALONE] = values  # once more: the last row is mostly the decoder's
        done[EXACT_ROWS] = post_processing.paste(values, exact.values[store.scored])
    return done


def _snaps(config: Config, rows: BlendRows) -> bool:
    """Whether predictions may be rounded to the grid of the targets: only numbers have one."""
    return config.post.snap and rows.kind == "regression"


def _by_fold(values: np.ndarray, rows: BlendRows, k: int) -> list[float]:
    """Score in each of the k folds, each of which has scored rows, then over all rows."""
    each = [rows.where(rows.fold == number).score_or_nan(values[rows.fold == number]) for number in range(k)]
    return [*each, rows.score(values)]


def snapped_by_fold(nested: NestedPredictions, rows: BlendRows) -> np.ndarray:
    """Round each fold's rows to the grid of the other folds' targets, where that improves those folds' score: (R, K).

    The predictions of the other folds that decide come from the blend that was fitted without the fold. Their own
    nested predictions would not do: the weights of these were fitted on the fold's targets, too.
    """
    snapped, parts = np.empty_like(nested.values), rows.cv_parts
    for part, fitted in zip(np.unique(parts), nested.fitted, strict=True):
        others = rows.where(parts != part)
        blended = blend.apply_blend(fitted, others)
        grids = post_processing.helpful_grids(others.y, blended, rows.metric, others.weight, others.groups)
        snapped[parts == part] = post_processing.snap(nested.values[parts == part], grids)
    return snapped


def _grids_of_all_rows(config: Config, nested: NestedPredictions, rows: BlendRows) -> list[Grid | None]:
    """(K,) grids for test predictions, decided on all out-of-fold rows, blended nested: they were not in the fit."""
    if not _snaps(config, rows):
        return [None] * rows.y.shape[1]
    return post_processing.helpful_grids(rows.y, nested.values, rows.metric, rows.weight, rows.groups)


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
