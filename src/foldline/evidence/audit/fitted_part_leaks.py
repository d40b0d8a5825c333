"""Fitted parts that use data they must not use: change the data, fit again, and compare every byte.

Metamorphic testing (Chen et al. 2018, https://doi.org/10.1145/3143561) of the whole pipeline: scaler, grid, network,
boosting, watched score, blend and post-processing must not change when only held-out rows or test rows change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from foldline.core import files
from foldline.data import exact_rows
from foldline.data.store import Store
from foldline.data.task import SHARES
from foldline.ensemble import decisions, tidying
from foldline.evidence.audit import perturbations, small_run
from foldline.evidence.audit.audit_check import CheckResult, listed
from foldline.evidence.audit.audit_context import AuditContext
from foldline.evidence.audit.small_run import SmallRun
from foldline.experiment import scoring
from foldline.experiment.config import Config
from foldline.run.cells import Cell
from foldline.run.estimator_channels import OF_TRAINING

FOLD = 0  # the fold whose cells are fitted again


def held_out_targets(context: AuditContext) -> CheckResult:
    """Weights and out-of-fold predictions do not depend on the held-out targets."""
    train = perturbations.targets(context.small[0], _not_fitted_on(context))
    if train.equals(context.small[0].frame):
        return CheckResult("not checked", "the held-out fold has one label only: there is nothing to change")
    return _compare(context, "the targets of the held-out fold", train=train)


def held_out_rows(context: AuditContext) -> CheckResult:
    """Weights do not depend on the held-out rows, inputs included."""
    train = perturbations.everything(context.small[0], _not_fitted_on(context))
    return _compare(context, "the rows of the held-out fold", train=train, leave_out=("out_of_fold.npy", *OF_TRAINING))


def _not_fitted_on(context: AuditContext) -> np.ndarray:
    """Say which series the cells of a fold must not depend on, (N,) bool: held out ones, and later ones."""
    folds = context.baseline.prepared.folds
    outside = np.ones(len(folds.assignment), dtype=bool)
    outside[folds.inside(FOLD)] = False
    return outside


def test_rows(context: AuditContext) -> CheckResult:
    """Weights do not depend on the test table; except of students, estimators of open rows, and what learned inputs."""
    table = context.small[1]
    test = perturbations.everything(table, np.ones(len(table.lengths), dtype=bool))
    students = tuple(name for name, cell in context.baseline.cells(FOLD).items() if _learns_from_test(cell))
    return _compare(context, "the rows of the test table", test=test, leave_out=students)


def _learns_from_test(cell: Cell) -> bool:
    labels = cell.model.teacher is not None and cell.model.teacher.labels_test
    own = labels or cell.model.fitted_as == "estimator" or cell.masked is not None  # estimators: exact rows of test
    return own or any(_learns_from_test(other) for other in cell.before)


def _compare(
    context: AuditContext,
    what: str,
    train: pl.DataFrame | None = None,
    test: pl.DataFrame | None = None,
    leave_out: tuple[str, ...] = (),
) -> CheckResult:
    """Fit the cells of a fold again with a changed table, and compare them with the baseline's."""
    base, name = context.baseline, what.replace(" ", "-")
    found = small_run.differences(base, context.variant(name, FOLD, train, test), FOLD, leave_out)
    if not found:
        return CheckResult("clean", f"what {len(base.cells(FOLD))} cells have fitted stays the same when {what} change")
    again = small_run.differences(base, context.variant(f"{name}-again", FOLD, None, None), FOLD)
    if again:
        cell, parts = next(iter(again.items()))
        return CheckResult(
            "not checked", f"{cell} comes out differently each time ({listed(parts)}): nothing to compare"
        )
    changed = "; ".join(f"{cell}: {', '.join(parts)}" for cell, parts in found.items())
    return CheckResult("LEAK", f"{what} were changed, and so did {changed}", {"changed": found})


def nesting(context: AuditContext) -> CheckResult:
    """Blended and post-processed rows of a fold do not depend on its targets: what is fitted comes from the others."""
    base = context.baseline
    for part, variant in _fitted_after_training(context.small_config).items():
        before = _blended(base, variant, base.prepared.train)
        for fold in range(base.prepared.folds.k):
            rows = (base.prepared.folds.assignment == fold)[base.prepared.train.series_of_answer]
            not_known = np.zeros(len(base.prepared.train.lengths), dtype=bool)
            not_known[base.prepared.folds.not_known(fold)] = True
            changed = _blended(base, variant, _with_other_targets(base.prepared.train, not_known))
            if not np.array_equal(changed[rows], before[rows]):
                if not np.array_equal(_blended(base, variant, base.prepared.train), before):
                    return CheckResult(
                        "not checked", "the blend comes out differently each time: nothing can be compared"
                    )
                return CheckResult(
                    "LEAK", f"the rows of fold {fold} are fitted {part} that its own targets have changed"
                )
    return CheckResult("clean", "blend and post-processing of a fold stay the same when its own targets change")


def _fitted_after_training(config: Config) -> dict[str, Config]:
    """What is fitted to out-of-fold predictions -> a config that fits it, and nothing that would cover it up."""
    post = config.post
    alike = config.data.kind in SHARES and post.renormalise  # whatever helps: nothing is fitted
    untidied = replace(post, decimals=None, renormalise=alike, always=alike and post.always)
    unfitted: dict[str, Any] = {
        "snap": False,
        "thresholds": False,
        "thresholds_by": "",
        "cut_points": False,
        "class_factors": False,
    }
    found = {"by weights": replace(config, post=replace(untidied, **unfitted))}
    if post.snap and config.data.kind == "regression":  # only numbers have a grid
        found["to a grid"] = replace(config, post=untidied)
    if tidying.asked(post):
        found["by rounding or renormalising"] = replace(config, post=replace(post, **unfitted))
    if config.data.kind in decisions.STEPS:
        found["by decisions"] = config
    return found


def _blended(base: SmallRun, config: Config, store: Store) -> np.ndarray:
    """(R, K) blended out-of-fold predictions of the small run's cells, fitted and scored on the targets in `store`.

    Where a decision may be fitted they are decided, at least as the metric decides by itself: whether a fitted one
    helps in any fold, of which the form of all rows hangs, is no leak.
    """
    with files.at_home_everywhere(base.home):
        found = scoring.combine(config, base.prepared.members, store, base.prepared.folds, None)
    return decisions.plain(found.rows, config.post).apply(found.blended)


def _with_other_targets(store: Store, held: np.ndarray) -> Store:
    """Change the targets of the held-out series. held: (N,) bool."""
    return replace(store, y=perturbations.answers(store, held))


def decoded_rows(context: AuditContext) -> CheckResult:
    """What the decoder computes from inputs does not depend on the targets."""
    models = context.config.models
    if not context.config.post.decode and not any(model.teacher and model.teacher.exact for model in models):
        return CheckResult("clean", "nothing is decoded")
    table = context.small[0]
    changed = replace(table, frame=perturbations.targets(table, np.ones(len(table.lengths), dtype=bool)))
    with files.at_home_everywhere(context.scratch / "exact"):
        before, after = exact_rows.obtain(table).values, exact_rows.obtain(changed).values
    if not np.array_equal(before, after, equal_nan=True):
        changed_rows = int((~((before == after) | (np.isnan(before) & np.isnan(after)))).sum())
        return CheckResult(
            "LEAK", f"{changed_rows} decoded rows changed when only the targets did: the decoder uses them"
        )
    return CheckResult("clean", f"{int((~np.isnan(before)).sum())} decoded rows stay the same when the targets change")
