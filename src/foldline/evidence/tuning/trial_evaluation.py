"""One trial: a sampled config on the search's folds and seeds, one fold after another.

Its cells are cells like all others: what a trial has trained, no run trains again. Its score is the mean over the folds
of each fold's score of the whole pipeline, that is of the blend, snapped to the grid, before exact rows are pasted in:
these need no model, and would hide what the models differ in. Members from outside ([[blend.outside]]) take no part:
nothing that a search varies changes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from foldline import blend
from foldline.blend import members, post_processing
from foldline.core.console import Terminal
from foldline.data import exact_rows
from foldline.data.loading import Competition
from foldline.experiment import preparation, scoring
from foldline.experiment.config import Config, without_outside_members
from foldline.experiment.preparation import Prepared
from foldline.run import executors, planning
from foldline.run.cells import Cell, Job
from foldline.run.executors import OnEvent


def prepare(config: Config, seeds: Sequence[int], competition: Competition | None = None) -> Prepared:
    """A config with everything its cells need, each of its models with the given seeds; says nothing.

    competition: the tables of its [data], where they have been read before.
    """
    models = tuple(
        replace(model, train=replace(model.train, seeds=tuple(seeds), full_seeds=())) for model in config.models
    )
    alone = replace(without_outside_members(config), models=models)
    return preparation.prepare(alone, Terminal(quiet=True), competition=competition)


def cells_of_folds(ready: Prepared, folds: Sequence[int]) -> list[Cell]:
    """The cells of some folds."""
    return [cell for cell in ready.plan if cell.fold in folds]


def jobs(ready: Prepared, plan: Sequence[Cell]) -> list[list[Job]]:
    """What is left to do of some cells, in stages. Test series are predicted only where a student asks for it."""
    test = ready.test.path if any(model.teacher for model in ready.config.models) else None
    taught = exact_rows.path_of(ready.competition.test) if ready.given.exact else None
    return planning.jobs(plan, ready.train.path, ready.folds.assignment, test, taught)


def train_fold(ready: Prepared, fold: int, on_event: OnEvent) -> None:
    """Train what is not trained of one fold, in this process."""
    for stage in jobs(ready, cells_of_folds(ready, [fold])):
        executors.take_turns(stage, ready.config.executor.together, on_event)


def mean_score(ready: Prepared, folds: Sequence[int]) -> float:
    """Mean over folds whose cells are finished."""
    return float(np.mean(list(fold_scores(ready, cells_of_folds(ready, folds), folds).values())))


def fold_scores(ready: Prepared, plan: Sequence[Cell], folds: Sequence[int]) -> dict[int, float]:
    """Fold -> its score, from finished cells.

    The blend of each fold is fitted on the other ones of `folds`, and whether it is snapped to a grid is decided there, too.

    Args:
        plan: the cells; a model's predictions are averaged over the seeds that a fold has there.
    """
    config = ready.config
    with np.errstate(invalid="ignore"):  # series of other folds come out as NaN, and are left out
        everything, _ = scoring.rows_of(members.of_plan(plan), config, ready.train, ready.folds)
    rows = everything.where(np.isin(everything.fold, folds))
    mixed = blend.nested(config.blend, rows).values
    scores = {}
    for fold in folds:
        inside = rows.fold == fold
        values = mixed[inside]
        if config.post.snap:
            grids = post_processing.helpful_grids(rows.y[~inside], mixed[~inside], rows.metric)
            values = post_processing.snap(values, grids)
        scores[fold] = rows.metric(rows.y[inside], values)
    return scores
