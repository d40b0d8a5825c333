"""Scores, blend and post-processing of finished cells, and test predictions.

Reads the cells' stored predictions only: it trains nothing and takes a second, so that [blend] and [post] can be
changed at no cost. Every reported score is nested: what is fitted for a fold's rows is fitted on the other folds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from foldline import ensemble
from foldline.data import on_disk, true_answers
from foldline.data.exact_rows import Exact
from foldline.data.folds import Folds
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.data.target_grid import Grid
from foldline.ensemble import (
    Blend,
    BlendRows,
    members,
    post_processing,
    series_aggregates,
    tidying,
)
from foldline.ensemble.decisions import UNDECIDED, Decisions
from foldline.ensemble.fitted_blend import method_in_words
from foldline.ensemble.members import Member
from foldline.ensemble.post_processing import PostConfig
from foldline.ensemble.tidying import UNTIDIED, Tidying
from foldline.experiment import after_blend, baselines
from foldline.experiment.config import Config
from foldline.experiment.ranked_rows import Ranked
from foldline.experiment.result import Result


def combine(
    config: Config,
    experiment_members: Sequence[Member],
    store: Store,
    folds: Folds,
    exact: Exact | None,
    table: Table | None = None,
    ranked: Ranked | None = None,
) -> Result:
    """Score and blend the members of an experiment whose cells are all finished.

    Args:
        exact: what a decoder read back from the training series' inputs, if post.decode is set.
        table: of the training series, for the trivial baselines; None: these are not wanted.
        ranked: what an estimator settled of their open rows, if post.ranked is set.
    """
    rows, predictions = blend_rows(experiment_members, config, store, folds, exact if opens(config) else None)
    whole, store = store, counting(store, folds, predictions)
    several = len(experiment_members) > 1 or rows.aggregates is not None  # of one, too, a second level may be made
    comparison = ensemble.choose_method(config.blend, rows) if config.blend.method_used == "auto" and several else None
    fitted = ensemble.fit(config.blend, rows, comparison.chosen if comparison else None)
    nested = ensemble.nested(config.blend, rows)
    steps = dict(zip(rows.labels, rows.predictions, strict=True))  # row of the score table -> (R scored, K)
    if several:
        steps[f"blend ({'auto: ' if comparison else ''}{method_in_words(fitted.method)})"] = nested.values
    steps |= after_blend.steps(config, nested, rows, store, exact, ranked)
    final = next(reversed(steps.values()))
    trivial = {} if table is None else _baselines(table, rows, whole, store, folds, config)
    grids = after_blend.grids_for_test(config, nested, rows)
    clipped = post_processing.clip(post_processing.snap(nested.values, grids), config.post.clip)
    blended = on_disk.zeros((len(store.scored), final.shape[1]))
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


def opens(config: Config) -> bool:
    """Whether members estimate the rows that a decoder leaves open: only these are then fitted, and compared."""
    return any(model.fitted_as == "estimator" for model in config.models)


def counting(store: Store, folds: Folds, predictions: np.ndarray | None = None) -> Store:
    """Return a training table's store with the answers as scored that folds hold out and every member has predicted.

    predictions: (M, R, K) out of fold; None: of members that have predicted all that is held out.
    """
    counted = store.scored & (folds.assignment >= 0)[store.series_of_answer]
    if predictions is not None:
        counted = counted & np.isfinite(predictions).all(axis=(0, 2))
    return replace(store, scored=counted)


def blend_rows(
    experiment_members: Sequence[Member], config: Config, store: Store, folds: Folds, exact: Exact | None = None
) -> tuple[BlendRows, np.ndarray]:
    """Gather the scored rows that a blend of these members is fitted on, and (M, R, K) all out-of-fold predictions.

    These are NaN where no fold holds an answer out.

    exact: rows that take the place of every member's predictions, so that the rows which are left open decide.
    """
    assert store.labelled, "an experiment is scored on labelled series"
    predictions = on_disk.stacked((member.out_of_fold(store) for member in experiment_members), len(experiment_members))
    if exact is not None:
        predictions = np.where(np.isnan(predictions), np.nan, post_processing.paste(predictions, exact.values))
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
        predictions=on_disk.kept_array(predictions[:, scored]),
        fold=on_disk.kept_array(folds.assignment[answers.series]),
        known_from=known_from,
        by=_codes(store, config.data.static.index(by), scored) if (by := config.post.thresholds_by) else None,
        spread=np.stack(predicted) if len(predicted) == len(experiment_members) else None,
        aggregates=series_aggregates.of_answers(store, config.blend.aggregates, scored),
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
    ranked: Ranked | None = None,
) -> np.ndarray:
    """Predict the test table, (A, K): mean over folds and seeds of each member, then blend and post-processing."""
    fitted = fitted.without_zero_weights()
    used = members.by_labels(fitted.labels, experiment_members)
    predictions = on_disk.stacked((member.test(store) for member in used), len(used))
    spread = np.stack([member.test(store, spread=True) for member in used]) if fitted.needs_spread else None
    return blended(fitted, grids, post, predictions, spread, store, exact, decided, tidied, ranked)


def blended(
    fitted: Blend,
    grids: list[Grid | None],
    post: PostConfig,
    predictions: np.ndarray,
    spread: np.ndarray | None,
    store: Store,
    exact: Exact | None,
    decided: Decisions = UNDECIDED,
    tidied: Tidying = UNTIDIED,
    ranked: Ranked | None = None,
) -> np.ndarray:
    """Blend and post-process members' predictions of series without labels, (M, A, K), as the blend names them: (A, K).

    spread: (M, A, K) their expected absolute error, where the blend needs it.
    """
    aggregates = series_aggregates.of_answers(store, fitted.aggregates)
    snapped = post_processing.snap(fitted.apply(predictions, spread, aggregates), grids)
    clipped = tidied.apply(post_processing.clip(snapped, post.clip))
    by = None if decided.column < 0 else _codes(store, decided.column, np.ones(len(clipped), dtype=bool))
    done = decided.apply(clipped, by)
    if store.given is not None:  # nobody asks for them, but a submission has every row
        done = np.where(store.given[:, None], store.y, done)
    if ranked is not None:
        done = post_processing.paste(done, ranked.values)
    return done if exact is None else post_processing.paste(done, exact.values)
