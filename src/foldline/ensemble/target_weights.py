"""Weights of its own for each target column, where they gain on rows that they were not fitted on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from foldline.ensemble.applicability import columns_apart
from foldline.ensemble.blend_rows import BlendRows
from foldline.ensemble.fitted_blend import ColumnWeights, Rule, WeightedSum

Fit = Callable[[BlendRows], Rule]  # by one method


def helpful(rows: BlendRows, common: WeightedSum, fit: Fit) -> Rule:
    """Give those target columns weights of their own for which the metric of all columns gains by it.

    Both, common weights and own ones, are fitted without each part of a cross-validation and tried on it. Targets are
    decided on one after the other, each beside the ones before as they were decided.

    Args:
        rows: that `common` was fitted on.
        fit: fits a weighted sum on rows of all columns, or of one.

    Returns:
        `common` where no target gains.
    """
    if not columns_apart(rows.metric, rows.kind, rows.y.shape[1]) or len(np.unique(rows.cv_parts)) < 2:
        return common
    blended, apart = _crossed(rows, fit)
    best, chosen = rows.score_or_nan(blended), []
    for column in range(rows.y.shape[1]):
        tried = blended.copy()
        tried[:, column] = apart[:, column]
        score = rows.score_or_nan(tried)
        if rows.metric.is_better(score, best):
            blended, best = tried, score
            chosen.append(column)
    return _merged(common, {column: fit(rows.column(column)) for column in chosen}, rows.y.shape[1])


def _crossed(rows: BlendRows, fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Blend each part by weights fitted on the others, (R, K): by common weights, and by those of each column."""
    blended, apart, parts = np.empty(rows.y.shape), np.empty(rows.y.shape), rows.cv_parts
    for part in np.unique(parts):
        inside = parts == part
        others, held = rows.where(~inside), rows.where(inside)
        blended[inside] = fit(others).apply(held.predictions, None)
        for column in range(rows.y.shape[1]):
            own = fit(others.column(column))
            apart[inside, column] = own.apply(held.predictions[..., [column]], None)[:, 0]
    return blended, apart


def _merged(common: WeightedSum, own: dict[int, Rule], columns: int) -> Rule:
    """Make one rule of common weights and those of some columns."""
    if not own:
        return common
    weights, offset = [common.weights] * columns, list(common.offset)
    for column, rule in own.items():
        assert isinstance(rule, WeightedSum), "a method that fits weights of a sum"
        weights[column] = rule.weights
        if offset:
            offset[column] = rule.offset[0]
    return ColumnWeights(tuple(weights), tuple(offset))


def described(rule: Rule, targets: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Return target -> (M,) weights of its own; empty where all targets have the same."""
    return dict(zip(targets, rule.weights, strict=True)) if isinstance(rule, ColumnWeights) else {}
