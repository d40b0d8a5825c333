"""From finished cells to an answer: scores, blend, post-processing, and the record that `infer` reads.

A reduction of what cells left; it trains nothing and takes a second, so [blend] and [post] can be changed at no cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foldline import blend
from foldline.blend import Blend, Decision, Nested, Rows, members, post_processing
from foldline.blend.members import Member
from foldline.blend.rules import shown as in_words
from foldline.data.exact_rows import Exact
from foldline.data.folds import Folds
from foldline.data.metrics import interval, metric
from foldline.data.roles import DataConfig
from foldline.data.store import Store
from foldline.data.target_grid import Grid
from foldline.experiment.config import Config

SNAPPED, EXACT_ROWS = "snapped to the grid", "exact rows in place"  # rows of the score table
PROCESSED = {SNAPPED: "grid", EXACT_ROWS: "exact rows"}  # these in words


@dataclass(frozen=True)
class Result:
    """What an experiment found. M models, N training series, R scored rows, K targets."""

    labels: tuple[str, ...]  # (M,)
    members: np.ndarray  # (M, R, K) out-of-fold predictions
    blended: np.ndarray  # (R, K) nested out-of-fold blend, after post-processing: what the score is of
    scores: dict[str, list[float]]  # row of the score table -> its score in each fold, then over all rows
    by_target: dict[str, list[float]]  # the same rows -> (K,) scores over all rows
    blend: Blend  # fitted on all out-of-fold rows: what test predictions get
    grids: list[Grid | None]  # (K,) of all training targets
    rows: Rows  # what the blend was fitted on
    nested: Nested  # the blend before post-processing, each fold by weights of the others
    decision: Decision | None  # how the methods compare, where the method was to be decided
    interval: tuple[float, float]  # 95 % of the score, over series; NaN for a single one

    @property
    def score(self) -> float:
        """Out-of-fold score of what is submitted."""
        return next(reversed(self.scores.values()))[-1]

    @property
    def processed(self) -> list[str]:
        """What was done to the blend before it was submitted: words for the steps that are rows of the score table."""
        return [words for step, words in PROCESSED.items() if step in self.scores]

    def table(self, data: DataConfig, digits: int = 4) -> tuple[list[str], list[list[str]]]:
        """The score table's columns and rows: by fold, by target where there are several, and over all rows."""
        folds, several = len(next(iter(self.scores.values()))) - 1, len(data.target) > 1
        columns = [f"out-of-fold {data.metric}", *(f"fold {number}" for number in range(folds))]
        columns += [*(data.target if several else ()), "all rows"]
        rows = []
        for name, (*each, whole) in self.scores.items():
            values = [*each, *(self.by_target[name] if several else ()), whole]
            rows.append([name, *(f"{value:.{digits}f}" for value in values)])
        return columns, rows


def combine(config: Config, every: Sequence[Member], store: Store, folds: Folds, exact: Exact | None) -> Result:
    """Scores and blend of an experiment whose cells are all finished.

    Args:
        every: its members.
        exact: what a decoder read back from the training series' inputs, if post.decode asks for it.
    """
    rows, predictions = rows_of(every, config, store, folds)
    decision = blend.decide(config.blend, rows) if config.blend.used == "auto" and len(every) > 1 else None
    fitted = blend.fit(config.blend, rows, decision.chosen if decision else None)
    nested = blend.nested(config.blend, rows)
    shown = dict(zip(rows.labels, rows.predictions, strict=True))
    if len(every) > 1:
        shown[f"blend ({'auto: ' if decision else ''}{in_words(fitted.method)})"] = nested.values
    shown |= _post_processed(config, nested, rows, store, exact)
    final = next(reversed(shown.values()))
    blended = np.zeros((len(store.scored), final.shape[1]))
    blended[store.scored] = final
    grids = post_processing.helpful_grids(rows.y, nested.values, rows.metric) if config.post.snap else None
    scores = {name: _by_fold(values, rows) for name, values in shown.items()}
    by_target = {name: _by_target(values, rows) for name, values in shown.items()}
    between = interval(rows.metric, rows.metric.loss(rows.y, final), rows.series)
    return Result(
        rows.labels,
        predictions,
        blended,
        scores,
        by_target,
        fitted,
        grids or [None] * final.shape[1],
        rows,
        nested,
        decision,
        between,
    )


def rows_of(every: Sequence[Member], config: Config, store: Store, folds: Folds) -> tuple[Rows, np.ndarray]:
    """The scored rows that a blend of these members is fitted on, and (M, R, K) all out-of-fold predictions."""
    assert store.labelled, "an experiment is scored on labelled series"
    scored = store.scored
    predictions = np.stack([member.out_of_fold(store) for member in every])
    spreads: list[np.ndarray | None] = [None]
    if "lightgbm" in (config.blend.used, *config.blend.candidates):
        spreads = [member.spread(store) for member in every]
    known = [values[scored] for values in spreads if values is not None]
    series = store.series_of_row[scored]
    rows = Rows(
        labels=tuple(member.label for member in every),
        predictions=predictions[:, scored],
        y=np.asarray(store.y[scored]),
        fold=folds.assignment[series],
        series=series,
        metric=metric(config.data.metric),
        spread=np.stack(known) if len(known) == len(every) else None,
    )
    return rows, predictions


def _post_processed(
    config: Config, nested: Nested, rows: Rows, store: Store, exact: Exact | None
) -> dict[str, np.ndarray]:
    """Step -> rows after it, in order, where it changed any; nothing fitted has seen the fold it is applied to."""
    done: dict[str, np.ndarray] = {}
    mixed = snapped_by_fold(nested, rows) if config.post.snap else nested.values
    if not np.array_equal(mixed, nested.values):
        done[SNAPPED] = mixed
    if exact is not None:
        done[EXACT_ROWS] = post_processing.paste(mixed, exact.values[store.scored])
    return done


def _by_fold(values: np.ndarray, rows: Rows) -> list[float]:
    """Score in each fold, then over all rows."""
    each = [rows.metric(rows.y[rows.fold == number], values[rows.fold == number]) for number in np.unique(rows.fold)]
    return [*each, rows.metric(rows.y, values)]


def _by_target(values: np.ndarray, rows: Rows) -> list[float]:
    """(K,) score of each target over all rows."""
    return [rows.metric(rows.y[:, target], values[:, target]) for target in range(rows.y.shape[1])]


def snapped_by_fold(nested: Nested, rows: Rows) -> np.ndarray:
    """Snap each fold's rows to the grid of the other folds' targets, where those folds' score gains by it: (R, K).

    The other folds' predictions that decide are those of the blend that was fitted without the fold: their own nested
    ones come from weights that saw its targets.
    """
    snapped, parts = np.empty_like(nested.values), rows.parts
    for part, fitted in zip(np.unique(parts), nested.fitted, strict=True):
        others = rows.where(parts != part)
        grids = post_processing.helpful_grids(others.y, blend.applied(fitted, others), rows.metric)
        snapped[parts == part] = post_processing.snap(nested.values[parts == part], grids)
    return snapped


def predict(
    fitted: Blend, grids: list[Grid | None], every: Sequence[Member], store: Store, exact: Exact | None
) -> np.ndarray:
    """(rows, K) test predictions: mean over folds and seeds in each member, then blend, grid, exact rows."""
    fitted = fitted.without_idle()
    weighed = members.labelled(fitted.labels, every)
    predictions = np.stack([member.test(store) for member in weighed])
    spread = np.stack([member.test(store, spread=True) for member in weighed]) if fitted.needs_spread else None
    snapped = post_processing.snap(fitted.apply(predictions, spread), grids)
    return snapped if exact is None else post_processing.paste(snapped, exact.values)
