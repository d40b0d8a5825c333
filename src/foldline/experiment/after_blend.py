"""What comes after the blend, nested like it: grid, clipping, rounding, sums of one, decisions, ranked and exact rows.

A step is taken on a fold's rows where it helps on the other folds, and shown where it changed any row.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foldline import ensemble
from foldline.data.exact_rows import Exact
from foldline.data.store import Store
from foldline.data.target_grid import Grid
from foldline.data.task import SHARES
from foldline.ensemble import BlendRows, NestedPredictions, decisions, post_processing, tidying
from foldline.ensemble.decisions import Decisions
from foldline.experiment.config import Config
from foldline.experiment.ranked_rows import Ranked
from foldline.experiment.runs_index import EXACT_ROWS, MODELS_ALONE, RANKED_ROWS

SNAPPED, CLIPPED = "snapped to the grid", "clipped"  # rows of the score table
TIDIED: dict[tidying.Step, str] = {"decimals": "rounded", "renormalise": "divided by the sum"}  # likewise
DECIDED = {step: f"{step} fitted" for step in decisions.STEPS.values()}  # what is decided by -> row of the score table
STEP_NAMES = {  # the rows in sentences
    SNAPPED: "grid",
    CLIPPED: "clipping",
    TIDIED["decimals"]: "rounding",
    TIDIED["renormalise"]: "renormalising",
    **{row: step for step, row in DECIDED.items()},
    RANKED_ROWS: "ranked rows",
    EXACT_ROWS: "exact rows",
}


def steps(
    config: Config,
    nested: NestedPredictions,
    rows: BlendRows,
    store: Store,
    exact: Exact | None,
    ranked: Ranked | None = None,
) -> dict[str, np.ndarray]:
    """Take the steps after the blend: row of the score table -> (R scored, K) after it, where it changed any."""
    done: dict[str, np.ndarray] = {}
    values = snapped_by_fold(nested, rows) if snaps(config, rows) else nested.values
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
    if ranked is not None and (ranked.rows & store.scored).any():
        done[RANKED_ROWS] = values = post_processing.paste(values, ranked.values[store.scored])
    if exact is not None:
        if not any(model.fitted_as == "estimator" for model in config.models):  # they have never had others
            done[MODELS_ALONE] = values  # once more: the last row is mostly the decoder's
        done[EXACT_ROWS] = post_processing.paste(values, exact.values[store.scored])
    return done


def snapped_by_fold(nested: NestedPredictions, rows: BlendRows) -> np.ndarray:
    """Round each fold's rows to the grid of the other folds' targets, where that improves those folds' score: (R, K).

    The predictions of the other folds that decide come from the blend that was fitted without the fold. Their own
    nested predictions would not do: the weights of these were fitted on the fold's targets, too.
    """
    snapped = np.empty_like(nested.values)
    for (held, known), fitted in zip(rows.splits, nested.fitted, strict=True):
        others = rows.where(known)
        blended = ensemble.apply_blend(fitted, others)
        grids = post_processing.helpful_grids(others.y, blended, rows.metric, others.weight, others.groups)
        snapped[held] = post_processing.snap(nested.values[held], grids)
    return snapped


def grids_for_test(config: Config, nested: NestedPredictions, rows: BlendRows) -> list[Grid | None]:
    """(K,) grids for test predictions, decided on all out-of-fold rows, blended nested: they were not in the fit."""
    if not snaps(config, rows):
        return [None] * rows.y.shape[1]
    return post_processing.helpful_grids(rows.y, nested.values, rows.metric, rows.weight, rows.groups)


def decisions_for_test(config: Config, rows: BlendRows, clipped: np.ndarray) -> Decisions:
    """Decisions on test predictions, fitted to all out-of-fold rows; clipped: (R, K), as for grids."""
    found, by = decisions.helpful(rows, clipped, config.post), config.post.thresholds_by
    return replace(found, column=config.data.static.index(by)) if found.own else found


def snaps(config: Config, rows: BlendRows) -> bool:
    """Whether predictions may be rounded to the grid of the targets: only numbers have one."""
    return config.post.snap and rows.kind == "regression"
