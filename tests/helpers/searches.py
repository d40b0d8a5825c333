"""Searches on the tiny competition: their file, their queue of trials, their results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import tiny
from optuna.trial import FrozenTrial

from foldline.core import artefacts
from foldline.evidence.tuning import tuning_file, workers
from foldline.evidence.tuning.trial_queue import TrialQueue
from foldline.evidence.tuning.workers import TimeLimit
from foldline.output.tracking import WandbTracker

SEARCH = """
base = "rides.toml"

[tune]
trials = 6
workers = 1
pruner = "none"
check_seeds = [0, 1]

[space]
"model.0.rounds" = {low = 2, high = 60, log = true}
"model.0.num_leaves" = {choices = [3, 7]}
"""
WATCHED = """
base = "rides.toml"

[tune]
workers = 1
pruner = "third"
startup = 3
trials = 8
check_seeds = [0]

[space]
"train.lr" = {low = 1e-6, high = 1e-1, log = true}
"""
TREES = "model=[{name = 'lightgbm', rounds = 5, num_leaves = 7, min_data_in_leaf = 2}]"  # cells that take milliseconds
FOUR = "folds.k=4"
TUNE = ["tune", "search", TREES, FOUR]


def install(home: Path, text: str = SEARCH, name: str = "search") -> Path:
    """Write the file of a search."""
    return tiny.configure(home, name, text)


def search(path: Path, *overrides: str) -> tuning_file.Search:
    """Load a search, with a folder for its study."""
    return replace(
        tuning_file.load(path, [TREES, FOUR, *overrides]), folder=path.parents[1] / "runs" / "search" / "here"
    )


def queue(path: Path, *overrides: str) -> TrialQueue:
    """Open its queue of trials."""
    return TrialQueue(search(path, *overrides))


def nothing() -> None:
    """Show no progress."""


def run_out(queue: TrialQueue) -> list[FrozenTrial]:
    """Run a worker until the search has ended; return the trials by number."""
    workers.run_worker(queue.search, TimeLimit(), nothing, WandbTracker)
    return queue.trials()


def found(home: Path, name: str = "search") -> dict[str, Any]:
    """Read study.json of the latest search."""
    return artefacts.read_json(home / "runs" / name / "latest" / "study.json")
