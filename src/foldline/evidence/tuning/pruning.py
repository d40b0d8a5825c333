"""Pruning: a trial ends early if it is not in the better part of all trials that reached the same fold and epoch.

A trial reports its score after each fold: the mean over the folds so far, which all trials take in the same order. With
[train.watch] it also reports, after each epoch, the score on the series that are kept out of training. The held-out
fold is read only after the fold's cells are finished. Where the metric is not defined in a fold, the folds so far are
pooled; before they have a score nothing is reported. Values are compared at the same step number only, which encodes
fold, cell and epoch. (Optuna's own pruners take the best of a trial's values so far, and would compare a watched score
with the score of another fold.) Inside a fold only trials of the same models and seeds are compared, since the first
cell of another trial may be another model.

`median` is the rule of Golovin et al. 2017, https://doi.org/10.1145/3097983.3098043; `third` that of asynchronous
successive halving, Li et al. 2020, https://arxiv.org/abs/1810.05934, with folds as its rungs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from foldline.evidence.tuning.tuning_file import TuneConfig

EPOCHS = 100_000  # more than any cell has; the steps of 200 folds still fit into a database's 32-bit integer
CELLS = 100  # more than any fold of a trial has
KEPT = {"median": 1 / 2, "third": 1 / 3, "none": 1.0}  # share of the trials at a step that go on


def step_of(fold: int, cell: int | None = None, epoch: int = 0) -> int:
    """Encode fold, cell and epoch as a step number, which grows in time and means the same in all trials.

    Args:
        fold: its place among the search's folds.
        cell: its place among the cells of the fold; None: the end of the fold.
        epoch: of that cell, from 1.
    """
    return (fold * CELLS + (CELLS - 1 if cell is None else cell)) * EPOCHS + epoch


def fold_of(step: int) -> int:
    """Decode the place, among the search's folds, of a step's fold."""
    return step // (CELLS * EPOCHS)


def _ends_fold(step: int) -> bool:
    return step % (CELLS * EPOCHS) >= (CELLS - 1) * EPOCHS


def score_so_far(trial: FrozenTrial) -> float | None:
    """Return a trial's score over the folds that it has finished; None before the first.

    Optuna's value of a pruned trial is what it reported last, which inside a fold is a watched score.
    """
    values: dict[int, float] = {step: value for step, value in trial.intermediate_values.items() if _ends_fold(step)}
    score: float | None = trial.value if trial.state == TrialState.COMPLETE else values.get(max(values, default=0))
    return score


def should_prune(
    trials: Sequence[FrozenTrial],
    number: int,
    step: int,
    value: float,
    config: TuneConfig,
    cost: Callable[[float], float] = float,
) -> bool:
    """Decide whether a trial should end at a step.

    Args:
        trials: all of the study. Failed ones do not count: their values come again as new trials. The attribute
            `cells` names the cells of a fold, in the order in which they are trained.
        number: of the trial. value: what it reports at this step.
        cost: `Metric.cost`: of a value, lower is better.
    """
    own_cells = next((trial.user_attrs.get("cells") for trial in trials if trial.number == number), None)
    peers = [
        cost(trial.intermediate_values[step])
        for trial in trials
        if trial.number != number and trial.state != TrialState.FAIL and step in trial.intermediate_values
        if _ends_fold(step) or trial.user_attrs.get("cells") == own_cells
    ]
    if len(peers) < config.startup:
        return False
    own = cost(value)
    return bool(own > np.quantile([*peers, own], KEPT[config.pruner]))
