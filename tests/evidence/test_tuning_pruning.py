"""Pruning: trials are compared at the same fold and epoch, by quantiles worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from foldline.evidence.tuning.pruning import fold_of, score_so_far, should_prune, step_of
from foldline.evidence.tuning.tuning_file import TuneConfig

FIRST, SECOND = step_of(0), step_of(1)


def trials(*reports: dict[int, float], state: TrialState = TrialState.PRUNED) -> list[FrozenTrial]:
    """Trials that have reported so, numbered from 0."""
    made = []
    for number, values in enumerate(reports):
        value: Any = {"value": 1.0} if state == TrialState.COMPLETE else {}
        trial = create_trial(state=state, intermediate_values=values, **value)
        trial.number = number
        made.append(trial)
    return made


def test_steps_follow_time_and_say_where_they_are() -> None:
    steps = [step_of(fold, cell, epoch) for fold in (0, 1) for cell in (0, 1, None) for epoch in (1, 50)]
    assert steps == sorted(set(steps))
    assert [fold_of(step) for step in steps] == [0] * 6 + [1] * 6
    assert step_of(10, 98, 5000) < 2**31  # what a database's integer column holds


@pytest.mark.parametrize(
    ("pruner", "value", "ends"),
    [
        ("median", 2.9, False),  # of 1, 2, 2.9, 3, 5
        ("median", 3.1, True),  # of 1, 2, 3, 3.1, 5
        ("third", 1.9, False),  # of 1, 1.9, 2, 3, 5: a third of the way is 1.93
        ("third", 2.1, True),  # of 1, 2, 2.1, 3, 5: 2.03
        ("none", 99.0, False),
    ],
)
def test_the_better_part_goes_on(pruner: Any, value: float, ends: bool) -> None:
    peers = trials({FIRST: 1.0}, {FIRST: 2.0}, {FIRST: 3.0}, {FIRST: 5.0})
    assert should_prune(peers, 9, FIRST, value, TuneConfig(pruner=pruner, startup=4)) is ends


def test_only_values_of_the_same_step_count() -> None:
    config = TuneConfig(startup=2)
    peers = trials({FIRST: 1.0, SECOND: 9.0}, {FIRST: 1.0, SECOND: 9.0}, {FIRST: 1.0})
    assert should_prune(peers, 9, FIRST, 5.0, config)
    assert not should_prune(peers, 9, SECOND, 5.0, config)
    assert not should_prune(peers, 9, step_of(0, 0, 1), 5.0, config)  # nobody was there before


def test_inside_a_fold_only_trials_of_the_same_cells_count() -> None:
    """Two trials with a network where this one has trees: their epochs cannot be compared with its own."""
    inside, config = step_of(0, 0, 3), TuneConfig(startup=2)
    study = trials({inside: 1.0, FIRST: 1.0}, {inside: 1.0, FIRST: 1.0}, {})
    for trial in study:
        trial.set_user_attr("cells", ["network fold 0 seed 0"])
    assert should_prune(study, 2, inside, 5.0, config)
    study[2].set_user_attr("cells", ["trees fold 0 seed 0"])
    assert not should_prune(study, 2, inside, 5.0, config)
    assert should_prune(study, 2, FIRST, 5.0, config)  # the scores of a fold are always comparable


def test_too_few_peers_and_failed_ones_prune_nothing() -> None:
    peers = trials({FIRST: 1.0}, {FIRST: 1.0})
    assert not should_prune(peers, 9, FIRST, 5.0, TuneConfig(startup=3))
    failed = trials({FIRST: 1.0}, {FIRST: 1.0}, state=TrialState.FAIL)
    assert not should_prune(failed, 9, FIRST, 5.0, TuneConfig(startup=2))
    assert not should_prune(peers, 1, FIRST, 5.0, TuneConfig(startup=2))  # one of the two is the trial itself


def test_a_pruned_trials_score_is_that_of_its_folds_never_a_watched_error() -> None:
    watched = step_of(1, 0, 3)
    inside_first, inside_second = trials({step_of(0, 0, 1): 9.0}, {FIRST: 0.5, watched: 9.0})
    assert (score_so_far(inside_first), score_so_far(inside_second)) == (None, 0.5)
    (complete,) = trials({FIRST: 0.5, SECOND: 0.7}, state=TrialState.COMPLETE)
    assert score_so_far(complete) == complete.value == 1.0
