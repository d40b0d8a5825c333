"""Decisions after the blend: thresholds, cut points of ranks, factors of classes, where the metric counts labels.

A decided answer keeps the form of a prediction, (A, K): zeros and ones, a one-hot row, a whole rank. Metrics of labels
take it as it is. What is fitted is kept only where it helps on rows that it was not fitted on; the search is the same
for all three: one number after the other is moved to where some decisions change, while the metric gains by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from foldline.blend.blend_rows import BlendRows
from foldline.blend.fitted_blend import Blend
from foldline.blend.post_processing import PostConfig, clip

Step = Literal["", "thresholds", "cut points", "class factors"]
STEPS: dict[str, Step] = {  # kind of target -> what is fitted
    "binary": "thresholds",
    "multilabel": "thresholds",
    "ordinal": "cut points",
    "multiclass": "class factors",
}
MOST_VALUES = 200_000  # rows x columns that a search scores; more are drawn at random
FEWEST_TRIED = 8  # positions of a number in each round of a search
ROUNDS = 3  # of a search for which the budget is meant to last


@dataclass(frozen=True)
class Decisions:
    """What was fitted: one number a column (thresholds, factors), or one between each two ranks (cut points)."""

    step: Step = ""  # empty: nothing; the metric, or the submission, decides by itself
    values: tuple[float, ...] = ()

    def apply(self, predictions: np.ndarray) -> np.ndarray:
        """Decide (A, K) predictions, in their form."""
        if self.step == "thresholds":
            return np.asarray(predictions >= np.asarray(self.values), dtype=np.float64)
        if self.step == "cut points":
            return np.asarray(np.searchsorted(self.values, predictions, side="right"), dtype=np.float64)
        if self.step == "class factors":
            chosen = (predictions * np.asarray(self.values)).argmax(axis=1)
            return np.asarray(chosen[:, None] == np.arange(predictions.shape[1]), dtype=np.float64)
        return predictions

    def to_json(self) -> dict[str, Any]:
        """Return what experiment.json says of them."""
        return {"step": self.step, "values": list(self.values)}

    @staticmethod
    def from_json(value: dict[str, Any] | None) -> Decisions:
        """Read what `to_json` returned; None, of an older record: nothing was fitted."""
        return UNDECIDED if value is None else Decisions(value["step"], tuple(value["values"]))


UNDECIDED = Decisions()


def step_of(rows: BlendRows, config: PostConfig) -> Step:
    """Name what may be fitted for these rows; empty: nothing."""
    step = STEPS.get(rows.kind, "")
    wanted = {"thresholds": config.thresholds, "cut points": config.cut_points, "class factors": config.class_factors}
    return step if step and wanted[step] and rows.metric.needs == "labels" else ""


def by_fold(values: np.ndarray, fitted: tuple[Blend, ...], rows: BlendRows, config: PostConfig) -> np.ndarray:
    """Decide each fold's rows by what helps on the other folds, (R, K); the values themselves where no fold's does.

    The predictions of the other folds come from the blend that was fitted without the fold, as for a grid.

    Args:
        values: (R, K) nested predictions, clipped.
        fitted: one blend for each part of `BlendRows.cv_parts`, fitted on the others.
    """
    if not step_of(rows, config):
        return values
    decided, parts, helped = plain(rows, config).apply(values), rows.cv_parts, False
    for part, blend in zip(np.unique(parts), fitted, strict=True):
        others = rows.where(parts != part)
        found = helpful(others, clip(blend.apply(others.predictions, others.spread), config.clip), config)
        if found.step:
            decided[parts == part], helped = found.apply(values[parts == part]), True
    return decided if helped else values


def helpful(rows: BlendRows, predictions: np.ndarray, config: PostConfig) -> Decisions:
    """Fit decisions on rows, where decisions fitted on some of their series improve the metric on the others.

    predictions: (R, K) of the blend.
    """
    if not step_of(rows, config) or len(np.unique(rows.cv_parts)) < 2:
        return UNDECIDED
    rows, parts, usual = _alone(rows, predictions), rows.cv_parts, plain(rows, config).apply(predictions)
    crossed = usual.copy()
    for part in np.unique(parts):
        inside = parts == part
        crossed[inside] = fit(rows.where(~inside), config).apply(predictions[inside])
    if not rows.metric.is_better(rows.score_or_nan(crossed), rows.score_or_nan(usual)):
        return UNDECIDED
    return fit(rows, config)


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
    rng = np.random.default_rng(config.seed)
    count = max(1, MOST_VALUES // rows.y.shape[1])
    if len(rows.y) > count:
        rows = rows.where(np.sort(rng.choice(len(rows.y), count, replace=False)))
    predictions, best = rows.predictions[0], plain(rows, config)
    size, left = len(best.values), config.evaluations - 1
    lowest = rows.cost(best.apply(predictions))
    tried_each, improved = max(FEWEST_TRIED, config.evaluations // (ROUNDS * size)), True
    while improved and left > 0:
        improved = False
        for place in rng.permutation(size):
            places = _changes(best, predictions, int(place))
            for value in _quantiles(places, tried_each, float(rng.random()))[:left]:
                tried = replace(best, values=(*best.values[:place], float(value), *best.values[place + 1 :]))
                cost, left = rows.cost(tried.apply(predictions)), left - 1
                if cost < lowest:
                    best, lowest, improved = tried, cost, True
    return best


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
