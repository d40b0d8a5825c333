"""[post]: rounding to decimals and rows that sum to one, where the score gains by it or the config says always.

Both come after snapping and clipping, which may leave the decimals, or the sum. Shares of classes are brought to sum
one whenever post.renormalise is set: otherwise they are none, and metrics and the submission gate refuse them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from foldline.core.errors import UserError
from foldline.data.metrics import Metric
from foldline.data.task import SHARES
from foldline.ensemble.blend_rows import BlendRows
from foldline.ensemble.fitted_blend import Blend
from foldline.ensemble.post_processing import PostConfig, clip, helpful_grids, snap

Step = Literal["decimals", "renormalise"]
STEPS: tuple[Step, ...] = ("decimals", "renormalise")  # in this order: after the last one rows sum to one
SUM_SLACK = 1e-6  # by which rows of numbers may differ from sum one in training


@dataclass(frozen=True)
class Tidying:
    """Steps that are taken on predictions."""

    decimals: int | None = None  # rounded to so many; None: not rounded
    renormalise: bool = False  # each row is divided by its sum

    def apply(self, predictions: np.ndarray) -> np.ndarray:
        """Round and renormalise (A, K) predictions. A row whose sum is not above 0 stays as it is."""
        if self.decimals is not None:
            predictions = np.asarray(np.round(predictions, self.decimals) + 0.0)  # + 0.0: no -0
        if not self.renormalise:
            return predictions
        sums = predictions.sum(axis=1, keepdims=True)
        return np.asarray(np.divide(predictions, sums, out=predictions.copy(), where=sums > 0))

    def to_json(self) -> dict[str, Any]:
        """Return what experiment.json says of them."""
        return {"decimals": self.decimals, "renormalise": self.renormalise}

    @staticmethod
    def from_json(value: dict[str, Any] | None) -> Tidying:
        """Read what `to_json` returned; None, of an older record: nothing is done."""
        return UNTIDIED if value is None else Tidying(**value)


UNTIDIED = Tidying()


def asked(config: PostConfig) -> list[Step]:
    """List the steps that the config names, in order."""
    named = {"decimals": config.decimals is not None, "renormalise": config.renormalise}
    return [step for step in STEPS if named[step]]


def check(config: PostConfig, metric: Metric, kind: str, y: np.ndarray) -> None:
    """Refuse steps that make no sense for the target. y: (R, K) of scored training rows.

    Raises:
        UserError
    """
    if config.decimals is not None and (kind not in ("regression", "ordinal") or metric.needs == "labels"):
        raise UserError(
            f"post.decimals = {config.decimals} rounds numbers, but the target is {kind} and the metric {metric.name}: "
            "leave it out."
        )
    if config.renormalise and kind not in SHARES:
        off = np.abs(y.sum(axis=1) - 1)
        if kind != "regression" or y.shape[1] < 2 or off.max() > SUM_SLACK:
            found = f", but row sums differ from 1 by up to {off.max():g}" if kind == "regression" else ""
            raise UserError(
                f"post.renormalise = true is for shares: a target of kind {' or '.join(SHARES)}, or several numbers "
                f"whose sum is 1 in each training row. The target is {kind}{found}. Leave it out."
            )
    cuts = bool(config.clip) and (config.clip[0] > 0 or config.clip[1] < 1)
    if cuts and kind in SHARES and metric.needs == "probabilities" and not config.renormalise:
        raise UserError(
            f"post.clip = {list(config.clip)} leaves shares that do not sum to one, which {metric.name} can't score: "
            "set post.renormalise = true as well."
        )


def by_fold(
    values: np.ndarray, fitted: tuple[Blend, ...], rows: BlendRows, config: PostConfig, step: Step
) -> np.ndarray:
    """Take a step, and those before it, on each fold's rows where that helps on the other folds: (R, K).

    The predictions of the other folds come from the blend that was fitted without the fold, as for a grid.

    Args:
        values: (R, K) nested predictions, snapped and clipped.
        fitted: one blend for each of `BlendRows.splits`.
        step: the last one that is taken.
    """
    tidied = values.copy()
    for (held, known), blend in zip(rows.splits, fitted, strict=True):
        others = rows.where(known)
        before = _snapped_and_clipped(others, blend.apply(others.predictions, others.spread, others.aggregates), config)
        tidied[held] = helpful(others, before, config, step).apply(values[held])
    return tidied


def helpful(rows: BlendRows, predictions: np.ndarray, config: PostConfig, last: Step = STEPS[-1]) -> Tidying:
    """Find the steps that are taken: each after the ones before, and where the metric gains by it on these rows.

    predictions: (R, K) of the blend, snapped and clipped.
    """
    kept = UNTIDIED
    for step in (step for step in asked(config) if STEPS.index(step) <= STEPS.index(last)):
        tried = replace(kept, decimals=config.decimals) if step == "decimals" else replace(kept, renormalise=True)
        if config.always or (step == "renormalise" and rows.kind in SHARES) or _helps(rows, predictions, kept, tried):
            kept = tried
    return kept


def _helps(rows: BlendRows, predictions: np.ndarray, before: Tidying, after: Tidying) -> bool:
    if not len(rows.y):  # a single series: there are no others that could decide
        return False
    one, other = (rows.score_or_nan(each.apply(predictions)) for each in (after, before))
    return rows.metric.is_better(one, other)


def _snapped_and_clipped(rows: BlendRows, predictions: np.ndarray, config: PostConfig) -> np.ndarray:
    if config.snap and rows.kind == "regression":
        grids = helpful_grids(rows.y, predictions, rows.metric, rows.weight, rows.groups)
        predictions = snap(predictions, grids)
    return clip(predictions, config.clip)
