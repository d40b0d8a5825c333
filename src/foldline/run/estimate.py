"""What a run will take, measured on this machine before it begins: `./run.sh train CONFIG --dry-run`.

A few steps of each network and a few rounds of each boosting are timed on the data itself, and multiplied.
"""

from __future__ import annotations

import heapq
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from foldline.data import metrics
from foldline.data.folds import Folds
from foldline.data.store import Store, open_store
from foldline.fit import boosting_cell, datasets, series_cell, step_time
from foldline.run import cell_stores
from foldline.run.cells import Cell, Job
from foldline.run.executor_config import ExecutorConfig
from foldline.run.executors import workers_for
from foldline.run.lanes import lanes_for
from foldline.run.schedule import Schedule

ROUNDS, SERIES = 10, 2000  # of boosting: rounds that are measured, and on how many series at most
ESTIMATOR_S = 0.02  # s a series that an estimator of open rows is fitted to; the slowest measured
WHOLE = 100  # series on which a model of whole series is measured at most


@dataclass(frozen=True)
class Estimate:
    """Cells of one model that have yet to be trained."""

    label: str
    cells: int
    epochs: int  # 0: it is no network
    cell_s: float  # one cell
    workers: int  # cells that are trained at a time
    total_s: float  # all of them, were there no others


@dataclass(frozen=True)
class Estimates:
    """What a run will take."""

    models: list[Estimate]  # those with cells to train; pre-training has one of its own
    elapsed_s: float  # by the clock, as the executor lets cells run beside each other


def estimate(jobs: Sequence[Job], config: ExecutorConfig) -> Estimates:
    """Estimate each model that has cells to train, and all of them.

    Cells that take turns on a GPU are counted as if that saved no time.
    """
    todo = [job for job in jobs if job.force or not job.cell.done]
    groups: dict[str, list[Job]] = {}
    for job in todo:
        groups.setdefault(job.cell.line, []).append(job)
    workers, found, cell_s = workers_for(todo, config), [], dict[str, float]()
    gpus = 0 if config.kind == "ray" else len(lanes_for(todo, config).gpus)
    for label, alike in groups.items():
        cell, path = alike[0].cell, alike[0].train
        assert path is not None, "a cell to train has series to train on"
        epochs = cell.model.train.epochs if cell.model.is_network else 0
        store = cell_stores.planned(cell.model, open_store(path))
        beside = workers if not gpus else gpus if cell.model.on_gpu else workers - gpus
        seconds, at_a_time = _seconds(cell, store, alike[0].folds), min(beside, len(alike))
        total_s = seconds * math.ceil(len(alike) / at_a_time)
        found.append(Estimate(label, len(alike), epochs, seconds, at_a_time, total_s))
        cell_s |= dict.fromkeys((job.key for job in alike), seconds)
    return Estimates(found, _elapsed_s(todo, cell_s, workers, gpus))


def _elapsed_s(jobs: Sequence[Job], cell_s: Mapping[str, float], workers: int, gpus: int = 0) -> float:
    """Return when the last job ends, where each worker takes the next of its kind that may begin.

    cell_s: of each job, by key. gpus: how many of the workers have a GPU; 0: all of them take all jobs.
    """
    schedule, running, now = Schedule(jobs), list[tuple[float, int, Job]](), 0.0
    begun = count()  # decides between two that end at once, as jobs can't be compared
    waiting: tuple[deque[Job], deque[Job]] = deque(), deque()  # for other workers, and for those with a GPU
    free = [workers - gpus, gpus]
    while True:
        while (job := schedule.ready()) is not None:
            waiting[_kind(job, gpus)].append(job)
        for kind, line in enumerate(waiting):
            while line and free[kind]:
                free[kind] -= 1
                job = line.popleft()
                heapq.heappush(running, (now + cell_s[job.key], next(begun), job))
        if not running:
            return now
        now, _, job = heapq.heappop(running)
        free[_kind(job, gpus)] += 1
        schedule.done(job)


def _kind(job: Job, gpus: int) -> int:
    """Return 1 where a job is one for workers with a GPU, of which there are so many."""
    return int(gpus > 0 and job.cell.model.on_gpu)


def _seconds(cell: Cell, store: Store, folds: Folds | None) -> float:
    """Estimate the seconds that the training of a cell takes."""
    count = len(store.lengths) if folds is None else len(cell.inside(folds))
    model = cell.model
    if model.fitted_as == "estimator":
        return ESTIMATOR_S * count
    if model.fitted_as == "series":
        return _whole_series_s(cell, store, count)
    if model.is_network:
        steps = datasets.batches_in_epoch(model.train, store, count * (1 - model.train.watch.share))
        return model.train.epochs * steps * step_time.seconds_a_step(model.name, model.params, model.train, store)
    return _boosting_s(cell, store, count)


def _boosting_s(cell: Cell, store: Store, count: int) -> float:
    """Estimate what boosting takes on so many series: its start, the first of which does not count, and its rounds."""
    series, model = step_time.spread(store, min(count, SERIES)), cell.model
    metric = None if cell.metric is None else metrics.metric(*cell.metric)

    def measure(rounds: int) -> float:
        trees = boosting_cell.BoostingCell(model.name, {**model.params, "rounds": rounds}, model.train, metric)
        began = time.perf_counter()
        trees.fit(store, series, 0, lambda kind, **values: None)
        return time.perf_counter() - began

    try:
        measure(1)  # LightGBM's first start on a machine takes longer
    except metrics.NotScorable:  # of the few that are watched here, as of one class; those of the cells have a score
        metric = None if metric is None else metric.nearest_loss(store.targets)
    start, few = (min(measure(rounds) for _ in range(2)) for rounds in (1, 1 + ROUNDS))
    a_round = max(few - start, 0.0) / ROUNDS
    return (start + a_round * (int(model.params["rounds"]) - 1)) * count / len(series)


def _whole_series_s(cell: Cell, store: Store, count: int) -> float:
    """Estimate what a model of whole series takes on so many of them: their features, which it spends its time on."""
    series, model = step_time.spread(store, min(count, WHOLE)), cell.model
    seconds = []
    for _ in range(2):  # the first time compiles
        estimator = series_cell.SeriesCell(model.name, model.params, model.train)
        began = time.perf_counter()
        estimator.fit(store, series, 0, lambda kind, **values: None)
        seconds.append(time.perf_counter() - began)
    return seconds[1] * count / len(series)
