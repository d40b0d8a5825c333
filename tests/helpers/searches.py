"""Searches on the tiny competition: their file, their queue of trials, their results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import tiny

from foldline.core import artefacts
from foldline.evidence.tuning import tuning_file
from foldline.evidence.tuning.trial_queue import TrialQueue

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
TREES = "model=[{name = 'lightgbm', rounds = 5, num_leaves = 7, min_data_in_leaf = 2}]"  # cells that take milliseconds
FOUR = "folds.k=4"


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


def found(home: Path, name: str = "search") -> dict[str, Any]:
    """Read study.json of the latest search."""
    return artefacts.read_json(home / "runs" / name / "latest" / "study.json")
