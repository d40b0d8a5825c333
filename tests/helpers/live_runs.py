"""Runs as they lie on the disk, written by hand: what tests of the live page share."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from foldline.core import artefacts, files
from foldline.run.progress_file import CellProgress, RunProgress

DEAD = 2**31 - 1  # number of no process


def cell(number: int, **given: Any) -> CellProgress:
    """A cell of a hybrid, of fold `number`; given: what it has beside."""
    made = CellProgress(key=f"{number:016x}", name=f"hybrid fold {number} seed 0", label="hybrid", fold=number, seed=0)
    return replace(made, **given)


def run(*cells: CellProgress, folder: str = "rides/12", **given: Any) -> RunProgress:
    """A run of this process, that began a minute ago; given: what it has beside."""
    made = RunProgress(
        part="rides",
        verb="train",
        folder=folder,
        metric="mae",
        kind="regression",
        at_a_time=2,
        began=time.time() - 60,
        process=os.getpid(),
        process_began=psutil.Process().create_time(),
        written=time.time(),
        cells=list(cells),
    )
    return replace(made, **given)


def write(runs: Path, shown: RunProgress) -> Path:
    """Write a run's progress.json, and return its folder."""
    files.write_text(runs / shown.folder / "progress.json", json.dumps(shown.to_json()))
    return runs / shown.folder


def epochs(runs: Path, shown: CellProgress, count: int) -> None:
    """Write a cell's history."""
    rows = [{"epoch": number, "loss": 1.0 / number, "watched": 2.0 / number} for number in range(1, count + 1)]
    files.write_text(runs / "cells" / shown.key / "history.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def record(folder: Path, *cells: CellProgress) -> None:
    """Write the record of a finished experiment."""
    entries = [{"key": each.key, "label": each.label, "fold": each.fold, "seed": each.seed} for each in cells]
    value = {
        "config": {"data": {"metric": "mae", "kind": "regression"}},
        "cells": entries,
        "baselines": [["constant", [2.0, None, 1.9]]],
        "scores": [["hybrid", [1.5, 1.25, 1.375]], ["blend <i>", [1.25, 1.0, 1.125]]],
    }
    artefacts.write_json(folder / "experiment.json", value)
