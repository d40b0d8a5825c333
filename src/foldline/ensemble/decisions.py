"""Decisions after the blend: thresholds, cut points of ranks, factors of classes, where the metric counts labels.

A decided answer keeps the form of a prediction, (A, K): zeros and ones, a one-hot row, a whole rank. Metrics of labels
take it as it is. What is fitted is kept only where it helps on rows that it was not fitted on; the search is the same
for all three: one number after the other is moved to where some decisions change, while the metric gains by it.

Thresholds may differ by the values of a static column (post.thresholds_by). A value that training has not, or whose own
thresholds do not help, takes the common ones. It can't be the group: a fold holds out whole groups, so that no rows are
left that could show whether thresholds of a group hold for other rows of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from foldline.core.errors import UserError, unknown
from foldline.data.metrics import Metric
from foldline.data.roles import DataConfig
from foldline.ensemble.blend_rows import BlendRows
from foldline.ensemble.fitted_blend import Blend
from foldline.ensemble.post_processing import PostConfig, clip

Step = Literal["", "thresholds", "cut points", "class factors"]
STEPS: dict[str, Step] = {  # kind of target -> what is fitted
    "binary": "thresholds",
    "multilabel": "thresholds",
    "ordinal": "cut points",
    "multiclass": "class factors",
}
MOST_VALUES = 200_000  # rows x columns that a search scores; more are drawn at random
FEWEST_TRIED = 8  # positions of a number in each round of a search
MOST_CODES = 20  # static values that may have thresholds of their own: the most frequent ones
ROUNDS = 3  # of a search for which the budget is meant to last


@dataclass(frozen=True)
class Decisions:
    """What was fitted: one number a column (thresholds, factors), or one between each two ranks (cut points)."""

    step: Step = ""  # empty: nothing; the metric, or the submission, decides by itself
    values: tuple[float, ...] = ()
    column: int = -1  # place of the static column by whose values thresholds differ; -1: they are the same for all
    own: tuple[tuple[int, tuple[float, ...]], ...] = ()  # codes of its values, and the thresholds that these have

    def apply(self, predictions: np.ndarray, by: np.ndarray | None = None) -> np.ndarray:
        """Decide (A, K) predictions, in their form. by: (A,) codes of the static column, where there is one."""
        if self.step == "thresholds":
            limits = np.broadcast_to(np.asarray(self.values), predictions.shape).copy()
            for code, values in self.own:
                assert by is not None, "thresholds that differ need the values by which they do"
                limits[by == code] = values
            return np.asarray(predictions >= limits, dtype=np.float64)
        if self.step == "cut points":
            return np.asarray(np.searchsorted(self.values, predictions, side="right"), dtype=np.float64)
        if self.step == "class factors":
            chosen = (predictions * np.asarray(self.values)).argmax(axis=1)
            return np.asarray(chosen[:, None] == np.arange(predictions.shape[1]), dtype=np.float64)
        return predictions

    def to_json(self) -> dict[str, Any]:
        """Return what experiment.json says of them."""
        common = {"step": self.step, "values": list(self.values)}
        own = [[code, list(values)] for code, values in self.own]
        return {**common, "column": self.column, "own": own} if own else common

    @staticmethod
    def from_json(value: dict[str, Any] | None) -> Decisions:
        """Read what `to_json` returned; None, of an older record: nothing was fitted."""
        if value is None:
            return UNDECIDED
        own = tuple((code, tuple(values)) for code, values in value.get("own", ()))
        return Decisions(value["step"], tuple(value["values"]), value.get("column", -1), own)

    def with_own(self, code: int, values: tuple[float, ...]) -> Decisions:
        """Return the same decisions with thresholds of its own for one code."""
        return replace(self, own=tuple(sorted({**dict(self.own), code: values}.items())))


UNDECIDED = Decisions()


def step_of(rows: BlendRows, config: PostConfig) -> Step:
    """Name what may be fitted for these rows; empty: nothing."""
    step = STEPS.get(rows.kind, "")
    wanted = {"thresholds": config.thresholds, "cut points": config.cut_points, "class factors": config.class_factors}
    return step if step and wanted[step] and rows.metric.needs == "labels" else ""


def check(config: PostConfig, metric: Metric, data: DataConfig) -> None:
    """Refuse thresholds by a column that can't have any.

    Raises:
        UserError
    """
    name = config.thresholds_by
    if not name:
        return
    if name == data.group:
        raise UserError(
            f"post.thresholds_by = {name!r} is data.group, of which no fold holds a part: nothing can show whether a "
            "group's own threshold helps. Name a static column that groups share, or leave it out."
        )
    if name not in data.static:
        raise unknown("static column", name, data.static, "post.thresholds_by")
    if STEPS.get(data.kind) != "thresholds" or metric.needs != "labels":
        raise UserError(
            f"post.thresholds_by = {name!r} needs labels that a threshold decides (kind binary or multilabel, a metric "
            f"of labels such as f1), but the target is {data.kind} and the metric {metric.name}. Leave it out."
        )


def by_fold(values: np.ndarray, fitted: tuple[Blend, ...], rows: BlendRows, config: PostConfig) -> np.ndarray:
    """Decide each fold's rows by what helps on the other folds, (R, K); the values themselves where no fold's does.

    The predictions of the other folds come from the blend that was fitted without the fold, as for a grid.

    Args:
        values: (R, K) nested predictions, clipped.
        fitted: one blend for each of `BlendRows.splits`.
    """
    if not step_of(rows, config):
        return values
    decided, helped = plain(rows, config).apply(values), False
    for (held, known), blend in zip(rows.splits, fitted, strict=True):
        others = rows.where(known)
        found = helpful(
            others, clip(blend.apply(others.predictions, others.spread, others.aggregates), config.clip), config
        )
        if found.step:
            decided[held], helped = found.apply(values[held], _by(rows, held)), True
    return decided if helped else values


def helpful(rows: BlendRows, predictions: np.ndarray, config: PostConfig) -> Decisions:
    """Fit decisions on rows, where decisions fitted on some of their series improve the metric on the others.

    Common ones first, then those of each static value, one after the other, beside what is decided before.

    predictions: (R, K) of the blend.
    """
    if not step_of(rows, config) or len(np.unique(rows.cv_parts)) < 2:
        return UNDECIDED
    rows, parts, usual = _alone(rows, predictions), rows.cv_parts, plain(rows, config).apply(predictions)
    crossed, fitted = usual.copy(), {part: fit(rows.where(parts != part), config) for part in np.unique(parts)}
    for part, found in fitted.items():
        crossed[parts == part] = found.apply(predictions[parts == part])
    helps = rows.metric.is_better(rows.score_or_nan(crossed), rows.score_or_nan(usual))
    if not helps:
        crossed, fitted = usual, dict.fromkeys(fitted, plain(rows, config))
    codes = _helpful_codes(rows, config, crossed, fitted)
    if not helps and not codes:
        return UNDECIDED
    whole = fit(rows, config) if helps else plain(rows, config)
    for code in codes:
        whole = _search(rows, whole, config, code)
    return whole


def _helpful_codes(rows: BlendRows, config: PostConfig, crossed: np.ndarray, fitted: dict[Any, Decisions]) -> list[int]:
    """List the codes of static values whose own thresholds, fitted without a part, improve the metric on it.

    Args:
        rows: of one member, the blend.
        crossed: (R, K) decided by common decisions that were fitted without each row's part.
        fitted: part -> these decisions.
    """
    if rows.by is None:
        return []
    parts, predictions, best, kept = rows.cv_parts, rows.predictions[0], rows.score_or_nan(crossed), []
    for code in _codes(rows):
        tried = crossed.copy()
        for part, common in fitted.items():
            inside = (parts == part) & (rows.by == code)
            found = _search(rows.where(parts != part), common, config, code)
            tried[inside] = found.apply(predictions[inside], rows.by[inside])
        score = rows.score_or_nan(tried)
        if rows.metric.is_better(score, best):
            crossed, best = tried, score
            kept.append(code)
    return kept


def _codes(rows: BlendRows) -> list[int]:
    """List the codes of the most frequent static values; 0 stands for all that training has not."""
    assert rows.by is not None
    codes, counts = np.unique(rows.by[rows.by > 0], return_counts=True)
    return sorted(codes[np.argsort(-counts, kind="stable")[:MOST_CODES]].tolist())


def _by(rows: BlendRows, chosen: np.ndarray) -> np.ndarray | None:
    return None if rows.by is None else rows.by[chosen]


def plain(rows: BlendRows, config: PostConfig) -> Decisions:
    """Return the decisions that a metric makes by itself: 0.5, the nearest rank, the largest probability; or none."""
    step, columns = step_of(rows, config), rows.y.shape[1]
    if not step:
        return UNDECIDED
    if step == "cut points":
        return Decisions(step, tuple((np.arange(rows.metric.answers.classes - 1) + 0.5).tolist()))
    return Decisions(step, (0.5 if step == "thresholds" else 1.0,) * columns)


def fit(rows: BlendRows, config: PostConfig) -> Decisions:
    """Search for the decisions with the best score on rows of one member, the blend.

    A search by coordinates: each number in turn, in a drawn order, is tried at places where decisions change, even
    quantiles of all such places with a drawn offset; it ends when a round improves nothing, or with the budget.
    """
    return _search(rows, plain(rows, config), config)


def _search(rows: BlendRows, best: Decisions, config: PostConfig, code: int | None = None) -> Decisions:
    """Search from some decisions for better ones. code: move only the thresholds of this static value."""
    rng = np.random.default_rng(config.seed)
    count = max(1, MOST_VALUES // rows.y.shape[1])
    if len(rows.y) > count:
        rows = rows.where(np.sort(rng.choice(len(rows.y), count, replace=False)))
    predictions, by = rows.predictions[0], rows.by
    inside = slice(None) if code is None else by == code
    evaluations = (
        config.evaluations if code is None else max(FEWEST_TRIED, config.evaluations // len(_codes(rows) or [0]))
    )
    size, left = len(best.values), evaluations - 1
    lowest = rows.cost(best.apply(predictions, by))
    tried_each, improved = max(FEWEST_TRIED, evaluations // (ROUNDS * size)), True
    while improved and left > 0:
        improved = False
        for place in rng.permutation(size):
            places = _changes(best, predictions[inside], int(place))
            for value in _quantiles(places, tried_each, float(rng.random()))[:left]:
                tried = _moved(best, int(place), float(value), config, code)
                cost, left = rows.cost(tried.apply(predictions, by)), left - 1
                if cost < lowest:
                    best, lowest, improved = tried, cost, True
    return best


def _moved(decisions: Decisions, place: int, value: float, config: PostConfig, code: int | None) -> Decisions:
    """Put a value in place of one number: of the common ones, or of those of a static value."""
    before = decisions.values if code is None else dict(decisions.own).get(code, decisions.values)
    values = (*before[:place], value, *before[place + 1 :])
    return replace(decisions, values=values) if code is None else decisions.with_own(code, values)


def _changes(decisions: Decisions, predictions: np.ndarray, place: int) -> np.ndarray:
    """Return the values of one number at which some decision changes, (any,); the other numbers stay."""
    values = np.asarray(decisions.values)
    if decisions.step == "thresholds":
        return np.asarray(predictions[:, place])
    if decisions.step == "cut points":
        low, high = np.concatenate([[-np.inf], values, [np.inf]])[[place, place + 2]]
        ranks = predictions[:, 0]
        return np.asarray(ranks[(ranks > low) & (ranks < high)])
    own, others = predictions[:, place], np.delete(predictions * values, place, axis=1).max(axis=1)
    at = others[own > 0] / own[own > 0]
    return np.asarray(at[(at > 0) & np.isfinite(at)])


def _quantiles(values: np.ndarray, count: int, offset: float) -> np.ndarray:
    """Return the middles between neighbouring values, at most `count` of them, evenly spread; offset: in [0, 1)."""
    distinct = np.unique(values)
    middles = (distinct[1:] + distinct[:-1]) / 2
    if len(middles) <= count:
        return np.asarray(middles)
    chosen = np.quantile(values, (np.arange(count) + offset) / count)  # of all values: where many lie, more is tried
    return np.unique(middles[np.minimum(np.searchsorted(middles, chosen), len(middles) - 1)])


def _alone(rows: BlendRows, predictions: np.ndarray) -> BlendRows:
    """Return rows with one member, the blend."""
    return replace(rows, labels=("blend",), predictions=predictions[None], spread=None)
