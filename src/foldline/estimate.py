"""What a run will take, measured on this machine before it begins: `./run.sh train CONFIG --dry-run`.

A few steps of each network, a few rounds of each boosting, on the data itself; the rest is multiplication.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from foldline import boosting, probe
from foldline.cells import Cell, Job
from foldline.executors import ExecutorConfig, workers_for
from foldline.store import Dense, open_store

ROUNDS = 5  # of boosting that are measured


@dataclass(frozen=True)
class Estimate:
    """Cells of one model that have yet to be trained."""

    label: str
    cells: int
    epochs: int
    epoch_s: float  # of one cell
    total_s: float  # of all of them, on the executor's workers


def estimate(waves: Sequence[Sequence[Job]], config: ExecutorConfig) -> list[Estimate]:
    """One estimate for each model that has cells to train, pre-training apart.

    Cells that take turns on a GPU are counted as if they gained nothing by it.
    """
    found = []
    for wave in waves:
        todo = [job for job in wave if job.force or not job.cell.done]
        groups: dict[str, list[Job]] = {}
        for job in todo:
            groups.setdefault(job.cell.model.label + (", pre-training" if job.cell.rehearses else ""), []).append(job)
        workers = workers_for(todo, config)
        for label, jobs in groups.items():
            cell, path = jobs[0].cell, jobs[0].train
            assert path is not None, "a cell to train has series to train on"
            epochs, epoch_s = _cell(cell, open_store(path), path, jobs[0].assignment)
            found.append(Estimate(label, len(jobs), epochs, epoch_s, epochs * epoch_s * math.ceil(len(jobs) / workers)))
    return found


def _cell(cell: Cell, dense: Dense, path: Path, assignment: np.ndarray | None) -> tuple[int, float]:
    """(epochs, seconds of each) of a cell; boosting is one epoch."""
    count = len(dense.lengths)
    if assignment is not None and cell.fold is not None:
        count = int((assignment != cell.fold).sum())
    model = cell.model
    if not model.on_rows:
        steps = math.ceil(count * (1 - model.train.watch.share) / model.train.batch)
        return model.train.epochs, steps * probe.seconds_a_step(model.name, model.params, model.train, dense)
    rounds = int(model.params.get("rounds", ROUNDS))
    few = replace(model, params={**model.params, "rounds": ROUNDS})
    began = time.perf_counter()
    trees = boosting.RowsCell(few.name, few.params, few.train)
    trees.fit(dense, np.arange(count), cell.seed, lambda kind, **values: None)
    return 1, (time.perf_counter() - began) * rounds / ROUNDS
