"""Pruning: a trial ends early when it is not among the better part of all that came to the same fold and epoch.

A trial reports its score after each fold (the mean over the folds so far: all trials take them in the same order), and
after each epoch the score of the series that [train.watch] keeps out of training, where the config asks for that. The
held-out fold itself is read after the fold's cells are finished, never before. Values are compared at one step number
only, which says fold, cell and epoch: Optuna's own pruners compare the best of a trial's values so far, a scaled error
of an epoch with a score of another fold. Inside a fold only trials of the same models and seeds are compared, since the
first cell of one may be another model than that of the other.

`median` is the rule of Golovin et al. 2017, https://doi.org/10.1145/3097983.3098043; `third` that of asynchronous
successive halving, Li et al. 2020, https://arxiv.org/abs/1810.05934, with folds as its rungs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from foldline.evidence.tuning.tuning_file import TuneConfig

EPOCHS = 100_000  # more than any cell has
CELLS = 100  # more than any fold of a trial has
KEPT = {"median": 1 / 2, "third": 1 / 3, "none": 1.0}  # share of the trials at a step that go on


def step_of(fold: int, cell: int | None = None, epoch: int = 0) -> int:
    """The number of a step: increasing in time, the same for all trials.

    Args:
        fold: its place among the search's folds.
        cell: its place among the cells of the fold; None: the end of the fold.
        epoch: of that cell, from 1.
    """
    return (fold * CELLS + (CELLS - 1 if cell is None else cell)) * EPOCHS + epoch


def fold_of(step: int) -> int:
    """The place, among the search's folds, of the fold that a step is in."""
    return step // (CELLS * EPOCHS)


def _ends_fold(step: int) -> bool:
    return step % (CELLS * EPOCHS) >= (CELLS - 1) * EPOCHS


def reached(trial: FrozenTrial) -> float | None:
    """The score that a trial has come to, over the folds it has finished; None before the first.

    Not Optuna's value of a pruned trial: that is what it told last, inside a fold a watched error in scaled units.
    """
    values: dict[int, float] = {step: value for step, value in trial.intermediate_values.items() if _ends_fold(step)}
    score: float | None = trial.value if trial.state == TrialState.COMPLETE else values.get(max(values, default=0))
    return score


def should_prune(trials: Sequence[FrozenTrial], number: int, step: int, value: float, config: TuneConfig) -> bool:
    """Whether a trial should end at a step.

    Args:
        trials: all of the study; those that failed are counted when they are tried again. Their attribute `cells` names
            the cells of a fold, in the order in which they are trained.
        number: of the trial. value: what it reports at this step, lower is better.
    """
    mine = next((trial.user_attrs.get("cells") for trial in trials if trial.number == number), None)
    peers = [
        trial.intermediate_values[step]
        for trial in trials
        if trial.number != number and trial.state != TrialState.FAIL and step in trial.intermediate_values
        if _ends_fold(step) or trial.user_attrs.get("cells") == mine
    ]
    if len(peers) < config.startup:
        return False
    return bool(value > np.quantile([*peers, value], KEPT[config.pruner]))
