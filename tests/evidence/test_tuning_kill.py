"""A search with ten SIGKILLs while four workers run, half of them to all of its processes.

./run.sh test --slow tests/evidence/test_tuning_kill.py
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
import searches
from optuna.trial import FrozenTrial, TrialState

from benchmarks.fault_injection import children
from foldline.evidence.tuning import trial_evaluation
from foldline.evidence.tuning.trial_queue import DEATHS, TrialQueue

KILLS, TRIALS, WORKERS = 10, 100, 4
STORAGE = os.environ.get("FOLDLINE_TEST_STORAGE", "")  # url of an empty database, to be tried instead of a journal
PATIENCE_S = 300.0  # longest wait for something that must happen

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


class Run:
    """`tune search`, forked with its workers from a process that has imported everything."""

    def __init__(self, home: Path, words: list[str]) -> None:
        self.child = children.start_foldline(home, "tune", "search", *words, environment=os.environ)

    @property
    def workers(self) -> list[int]:
        """The worker processes that are alive."""
        return [number for number in self.child.workers if psutil.pid_exists(number)]

    def kill(self, all_of_it: bool, draw: random.Random) -> None:
        """Kill it with all workers, or one of the workers."""
        if all_of_it:
            with self.child:  # killed, waited for
                self.child.kill()
        else:
            os.kill(draw.choice(self.workers), signal.SIGKILL)


def until(what: str, holds: Callable[[], bool], run: Run) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert run.child.process.exitcode is None, run.child.printed()
        assert time.monotonic() < deadline, f"{what} did not happen:\n{run.child.printed()}"
        time.sleep(0.05)


def test_a_search_that_is_killed_ten_times_ends_complete(rides: Path, home: Path) -> None:
    path = searches.install(home)
    words = [f"tune.trials={TRIALS}", f"tune.workers={WORKERS}", f"tune.storage={STORAGE}"]
    draw, run = random.Random(0), Run(home, [searches.TREES, searches.FOUR, *words])
    until("a study", lambda: (home / "runs" / "search" / "latest").exists(), run)
    folder = (home / "runs" / "search" / "latest").resolve()
    queue = TrialQueue(replace(searches.search(path, *words), folder=folder))
    for number in range(KILLS):
        more = draw.randrange(3)  # so that kills hit workers at different points of their trials
        until("a trial by four workers", partial(all_running, run, queue, len(queue.trials()) + more), run)
        assert queue.ended < TRIALS, "too few trials for ten kills"
        run.kill(number % 2 == 1, draw)
        if number % 2 == 1:
            run = Run(home, [searches.TREES, searches.FOUR, *words])
    with run.child:
        ended = run.child.ended(PATIENCE_S)
    assert ended.code == 0, ended.out + ended.err
    assert_complete(queue)
    assert len(searches.found(home)["trials"]) == TRIALS


def all_running(run: Run, queue: TrialQueue, begun: int) -> bool:
    """Four workers are there, and more trials than had been begun."""
    return len(run.workers) == WORKERS and len(queue.trials()) > begun


def assert_complete(queue: TrialQueue) -> None:
    """As many trials as were requested, none lost, none counted twice, every score what its cells say."""
    states = Counter(trial.state for trial in queue.trials())
    assert states.keys() == {TrialState.COMPLETE, TrialState.FAIL}, "no kill has hit a trial, or one hangs"
    assert states[TrialState.COMPLETE] == TRIALS
    again = Counter(trial.user_attrs["again"] for trial in queue.trials() if "again" in trial.user_attrs)
    lost = {trial.number for trial in queue.trials(TrialState.FAIL)}
    given_up = {trial.number for trial in queue.trials(TrialState.FAIL) if deaths(trial) == DEATHS - 1}
    assert again.keys() | given_up == lost and set(again.values()) == {1}
    for trial in queue.trials(TrialState.COMPLETE):
        ready = trial_evaluation.prepare(queue.search.config(trial.params), queue.search.tune.seeds)
        assert trial_evaluation.mean_score(ready, queue.search.tune.folds)[0] == trial.value


def deaths(trial: FrozenTrial) -> int:
    """Workers that these values had killed before this one."""
    return int(trial.user_attrs.get("deaths", 0))
