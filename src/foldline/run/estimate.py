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

from foldline.fit.pass_time import Clock
from foldline.run import cell_time
from foldline.run.cells import Cell, Job
from foldline.run.executor_config import ExecutorConfig
from foldline.run.executors import workers_for
from foldline.run.lanes import lanes_for
from foldline.run.schedule import Schedule


@dataclass(frozen=True)
class Estimate:
    """Cells of one model that have yet to be trained."""

    label: str
    cells: int
    epochs: int  # 0: it is no network
    cell_s: float  # one cell
    workers: int  # cells that are trained at a time
    total_s: float  # all of them, were there no others
    is_bound: bool = False  # they take at most that: early stopping, or a curriculum, may save some of it


@dataclass(frozen=True)
class Estimates:
    """What a run will take."""

    models: list[Estimate]  # those with cells to train; pre-training has one of its own
    elapsed_s: float  # by the clock, as the executor lets cells run beside each other


def estimate(jobs: Sequence[Job], config: ExecutorConfig, clock: Clock = time.perf_counter) -> Estimates:
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
        cell = alike[0].cell
        epochs = cell.model.train.epochs if cell.model.is_network else 0
        beside = workers if not gpus else gpus if cell.model.on_gpu else workers - gpus
        seconds, at_a_time = cell_time.seconds(alike[0], clock), min(beside, len(alike))
        total_s = seconds * math.ceil(len(alike) / at_a_time)
        found.append(Estimate(label, len(alike), epochs, seconds, at_a_time, total_s, _is_bound(cell)))
        cell_s |= dict.fromkeys((job.key for job in alike), seconds)
    return Estimates(found, _elapsed_s(todo, cell_s, workers, gpus))


def _is_bound(cell: Cell) -> bool:
    """Return whether a cell may take less than is estimated."""
    train = cell.model.train
    return cell.model.fitted_as in ("network", "rows") and (
        train.watch.stop > 0 or (cell.model.is_network and train.sample.curriculum > 0)
    )


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
