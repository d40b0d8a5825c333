"""Train and score one sampled config on the search's folds and seeds, one fold after another.

The cells of a trial are ordinary cells: no run trains them again. A trial's score is the mean over folds of the score
of the whole pipeline: the blend, snapped to the grid, without exact rows. Exact rows need no model and would hide what
the models differ in. Members from outside ([[blend.outside]]) are left out: nothing that a search varies changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from foldline import ensemble
from foldline.core.console import Terminal
from foldline.data import exact_rows
from foldline.data.loading import Competition
from foldline.ensemble import members
from foldline.evidence.ablation.fold_values import either, fold_values
from foldline.experiment import after_blend, preparation, scoring
from foldline.experiment.config import Config, without_outside_members
from foldline.experiment.preparation import PreparedExperiment
from foldline.run import executors, planning, turns
from foldline.run.cells import Cell, Job
from foldline.run.turns import OnEvent


def prepare(
    config: Config, seeds: Sequence[int], competition: Competition | None = None, dry: bool = False
) -> PreparedExperiment:
    """Prepare everything that a config's cells need, each model with the given seeds; prints nothing.

    Args:
        competition: the tables of its [data], if they have been read before.
        dry: write no fold file.
    """
    models = tuple(
        replace(model, train=replace(model.train, seeds=tuple(seeds), full_seeds=())) for model in config.models
    )
    alone = replace(without_outside_members(config), models=models)
    return preparation.prepare(alone, Terminal(quiet=True), dry, competition)


def cells_of_folds(ready: PreparedExperiment, folds: Sequence[int]) -> list[Cell]:
    """List the cells of some folds."""
    return [cell for cell in ready.plan if cell.fold in folds]


def jobs(ready: PreparedExperiment, plan: Sequence[Cell]) -> list[Job]:
    """List the jobs that are left for some cells. Test series are predicted only where cells learn from them, too."""
    test = ready.test.path if any(model.reads_test for model in ready.config.models) else None
    exact = exact_rows.path_of(ready.competition.test) if ready.plan_inputs.exact else None
    return planning.jobs(plan, ready.train.path, ready.folds, test, exact)


def train_fold(ready: PreparedExperiment, fold: int, on_event: OnEvent) -> None:
    """Train the cells of a fold that are missing: in this process, which is one of several, or on a cluster."""
    missing, executor = jobs(ready, cells_of_folds(ready, [fold])), ready.config.executor
    if executor.kind == "ray":
        executors.execute(missing, executor, on_event)
    else:
        turns.take_turns(missing, executor.together, on_event)


def mean_score(ready: PreparedExperiment, folds: Sequence[int]) -> tuple[float, bool]:
    """Compute the mean score over folds whose cells are finished, and whether they had to be pooled.

    Raises:
        NotScorable: the metric is not defined on all of them together.
    """
    values, pooled = either(_scorer(ready, cells_of_folds(ready, folds), folds))
    return float(np.mean(values)), pooled


def fold_scores(
    ready: PreparedExperiment, plan: Sequence[Cell], folds: Sequence[int], pool: bool = False
) -> dict[int, float]:
    """Compute fold -> score, from finished cells.

    The blend of each fold is fitted on the other ones of `folds`, and there it is decided whether to snap to a grid.

    Args:
        plan: the cells; a model's predictions are averaged over the seeds that a fold has there.
        pool: jackknife values of the folds together (fold_values.py), for a metric that a fold does not define.

    Raises:
        NotScorable: a fold has no score.
    """
    return dict(zip(folds, _scorer(ready, plan, folds)(pool).tolist(), strict=True))


def _scorer(ready: PreparedExperiment, plan: Sequence[Cell], folds: Sequence[int]) -> Callable[[bool], np.ndarray]:
    """Blend once, and return what computes the values of the folds, given whether to pool them."""
    config = ready.config
    predicted, _ = scoring.blend_rows(members.of_plan(plan), config, ready.train, ready.folds)
    rows = predicted.where(np.isin(predicted.fold, folds))
    nested = ensemble.nested(config.blend, rows)
    values = after_blend.snapped_by_fold(nested, rows) if after_blend.snaps(config, rows) else nested.values

    def score(some: np.ndarray) -> float:
        return rows.where(some).score(values[some])

    return lambda pool: fold_values(score, rows.fold, folds, pool)
