"""A stored experiment predicts new series: its cells, where they have not yet, then the blend and post-processing.

Trains nothing, and imports nothing that only training needs: a notebook may lack those packages. Members whose weight
is 0 need not predict.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foldline.core.console import Terminal
from foldline.data import exact_rows as decoding
from foldline.data import featurize, open_rows, table_checks
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.experiment import config_plans, ranked_rows, scoring
from foldline.experiment.stored_experiment import StoredExperiment
from foldline.fit import horizon_checks, pair_checks, patches
from foldline.run import executors
from foldline.run.cells import Job
from foldline.run.progress import cell_bars


@dataclass(frozen=True)
class InferenceTask:
    """A stored experiment and a test table that it is to predict."""

    stored: StoredExperiment
    test: Table
    stores: list[Store]  # the table's features, one store for each config of the experiment

    @property
    def jobs(self) -> list[Job]:
        """Return one job for each cell that the blend needs."""
        needed = set(self.stored.blend.without_zero_weights().labels)
        estimator = ranked_rows.estimator(self.stored.config.post, self.stored.members)
        needed |= set() if estimator is None else {estimator.label}  # it settles rows, whatever its weight
        jobs = {  # by key: two configs may have cells in common
            each.key: Job(each, None, None, store.path)
            for config_plan, store in zip(self.stored.config_plans, self.stores, strict=True)
            for member in config_plan.members
            if member.label in needed
            for cell in member.test_cells
            for each in (cell, *([] if cell.channels is None else [cell.channels]))
        }
        return list(jobs.values())


def prepare(stored: StoredExperiment, test: Table, terminal: Terminal) -> InferenceTask:
    """Make the test table's features, as each config of the experiment has them.

    Raises:
        UserError: a feature is not finite, or the code of one has changed since training; the order is of another kind
            than in training; Ray is asked for and missing.
    """
    executors.check(stored.config.executor)
    table_checks.trained_clock(test, stored.clock)
    with terminal.bar("features", "series") as update:
        features = [config_plan.config.features for config_plan in stored.config_plans]
        stores = [featurize.obtain(test, table, stored.levels, update) for table in features]
    if any(cell.model.fitted_as == "estimator" for cell in stored.plan):
        with terminal.bar("open rows", "series") as update:
            open_rows.obtain(test, update)
    for config_plan, store in zip(stored.config_plans, stores, strict=True):
        config_plans.refuse_changed_facts(config_plan, store, stored.folder)
        for model in (model for model in config_plan.config.models if model.is_network):
            patches.check_store(model.train.patches, store)
            pair_checks.check_store(model.label, pair_checks.named(model.name, model.params), store)
            horizon_checks.check_store(model.label, model.params, store)
    return InferenceTask(stored, test, stores)


def predict(task: InferenceTask, terminal: Terminal) -> np.ndarray:
    """Predict the test table: (rows, K), post-processed. Cells that have predicted it already do not do so again.

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
    used = (stored.blend, stored.grids, stored.config.post, stored.members)
    ranked = ranked_rows.of_test(stored.config.post, stored.members, task.stores[0])
    return scoring.predict(*used, task.stores[0], exact, stored.decisions, stored.tidied, ranked)
