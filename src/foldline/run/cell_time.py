"""How long a cell takes on this machine: small parts of its work are measured, the whole follows from their growth.

What a process pays once is left out where it pays it once for all cells: imports, and what torch.compile compiles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from foldline.core.interrupt import stop_if_requested
from foldline.data import metrics
from foldline.data.store import Store, open_store
from foldline.fit import boosting_time, datasets, patches, scaler, series_time, step_time
from foldline.fit.epoch_shapes import epoch_s, shapes, training_s
from foldline.fit.labelled_series import labelled_series
from foldline.fit.network_probe import spread
from foldline.fit.pass_time import Clock
from foldline.fit.stitching import PASS
from foldline.run import cell_stores
from foldline.run.cells import Job

ESTIMATOR_S = 0.02  # s a series that an estimator of open rows is fitted to; the slowest measured
FILES_S = 0.05  # of a cell: its files, their checksums, its lock
PREPARED_ROWS = 1 << 17  # on which preparing is measured

Part = tuple[Store, np.ndarray]  # some series of a store, (n,)


def seconds(job: Job, clock: Clock) -> float:
    """Return the seconds of a job: its cell's training, and predictions of held-out and test series."""
    stop_if_requested()
    assert job.train is not None, "a cell to train has series to train on"
    cell, model = job.cell, job.cell.model
    store = cell_stores.planned(model, open_store(job.train))
    inside = np.arange(len(store.lengths)) if job.folds is None else cell.inside(job.folds)
    parts: list[Part] = []  # to predict
    if job.folds is not None and cell.masked is None:
        parts.append((store, cell.held_out(job.folds)))
    if job.test is not None:
        test = cell_stores.planned(model, open_store(job.test))
        parts.append((test, np.arange(len(test.lengths))))
    parts = [(each, series) for each, series in parts if len(series)]
    if model.fitted_as == "estimator":
        return ESTIMATOR_S * len(inside)
    kind = {"network": _network_s, "series": _whole_series_s, "rows": _boosting_s}[model.fitted_as]
    return FILES_S + kind(job, store, inside, parts, clock)


def _network_s(job: Job, store: Store, inside: np.ndarray, parts: Sequence[Part], clock: Clock) -> float:
    cell, model = job.cell, job.cell.model
    config, batch = model.train, max(1, model.train.batch // model.train.processes)
    held = round(config.watch.share * len(inside))
    watched, kept = _apart(inside, held)
    learned: list[Part] = [(store, kept), *[(store, inside)] * model.masked_copies]
    if job.unlabelled is not None or (model.teacher is not None and model.teacher.labels_test):
        other = open_store(job.unlabelled or job.test)  # type: ignore[arg-type]
        learned.append((cell_stores.planned(model, other), np.arange(len(other.lengths))))
    every = sorted((shape for part in learned for shape in shapes(config, *part)), key=lambda shape: shape.steps)
    taken = step_time.of_network(model.name, model.params, config, store, every, cell.masked, clock)
    of_pass = PASS * config.batch
    predicted = sum(epoch_s(taken.predicting, shapes(config, *part, predicted=True), of_pass) for part in parts)
    watching = epoch_s(taken.predicting, shapes(config, store, watched, predicted=True), of_pass) if held else 0.0
    rows = sum(int(each.lengths[series].sum()) for each, series in learned)
    return (
        _preparing_s(job, store, rows, clock)
        + training_s(taken.training, every, config, batch)
        + config.epochs * watching
        + config.tta.count * predicted
    )


def _apart(series: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return so many series from all over, and the others."""
    chosen = np.zeros(len(series), dtype=bool)
    chosen[np.linspace(0, len(series) - 1, count).astype(np.int64)] = True
    return series[chosen], series[~chosen]


def _preparing_s(job: Job, store: Store, rows: int, clock: Clock) -> float:
    """Return the seconds until the first step: the scaler, and features on the device."""
    few, train = spread(store, PREPARED_ROWS), job.cell.model.train
    part = patches.pooled(labelled_series(store, few), train.patches)
    began = clock()
    fitted = scaler.fit(job.cell.scaler, store, few, 0)
    datasets.to_train([part], fitted, train, 0, torch.device(train.device_used))
    return (clock() - began) * max(1.0, rows / int(store.lengths[few].sum()))


def _boosting_s(job: Job, store: Store, inside: np.ndarray, parts: Sequence[Part], clock: Clock) -> float:
    cell, model = job.cell, job.cell.model
    watched_by = None if cell.metric is None else metrics.metric(*cell.metric)
    series = len(inside) * (1 + model.masked_copies)
    values = sum(int(each.answers_of_series[some].sum()) for each, some in parts)
    return boosting_time.seconds(model.name, model.params, model.train, watched_by, store, series, values, clock)


def _whole_series_s(job: Job, store: Store, inside: np.ndarray, parts: Sequence[Part], clock: Clock) -> float:
    model, predicted = job.cell.model, sum(len(series) for _, series in parts)
    return series_time.seconds(model.name, model.params, model.train, store, len(inside), predicted, clock)
