"""A recorded experiment on new series: which stored cells have yet to predict them, and what the blend makes of it.

Trains nothing, and imports nothing that only training uses. Members whose weight is 0 need not predict.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foldline.core.console import Terminal
from foldline.data import exact_rows as decoding
from foldline.data import featurize
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.experiment import scoring
from foldline.experiment.recorded import Stored
from foldline.run import executors
from foldline.run.cells import Job
from foldline.run.progress import cell_bars


@dataclass(frozen=True)
class Task:
    """An experiment and a test table."""

    stored: Stored
    test: Table
    stores: list[Store]  # the table's features, one store for each of the experiment's parts

    @property
    def jobs(self) -> list[Job]:
        """One for each cell that the blend needs."""
        weighed = set(self.stored.blend.without_idle().labels)
        jobs = {
            cell.key: Job(cell, None, None, dense.path)
            for part, dense in zip(self.stored.parts, self.stores, strict=True)
            for member in part.members
            if member.label in weighed
            for cell in member.cells
        }
        return list(jobs.values())


def begin(stored: Stored, test: Table, terminal: Terminal) -> Task:
    """Make the features that each part of the experiment knows."""
    with terminal.bar("features", "series") as update:
        stores = [featurize.obtain(test, part.config.features, stored.levels, update) for part in stored.parts]
    return Task(stored, test, stores)


def finish(task: Task, terminal: Terminal) -> np.ndarray:
    """(rows, K) predictions of the test table, post-processed; cells that have predicted it already do not again.

    Raises:
        UserError: a member came from outside, and not with predictions for this table.
    """
    stored = task.stored
    waiting = [job for job in task.jobs if not job.finished]
    if waiting:
        with cell_bars(terminal, waiting) as bars:
            executors.execute(waiting, stored.config.executor, bars.event)
    with terminal.bar("decoding", "series") as update:
        exact = decoding.obtain(task.test, update) if stored.config.post.decode else None
    return scoring.predict(stored.blend, stored.grids, stored.members, task.stores[0], exact)
