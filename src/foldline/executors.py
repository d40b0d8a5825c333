"""Where cells run: in this process one after another, or in worker processes. The result is the same to the last bit.

An executor takes jobs and reports events; it knows nothing of what a cell is. (A cluster's executor will fit the same
two lines: jobs in, events out.)
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from foldline import cells
from foldline.cells import Job
from foldline.errors import UserError, disk_full

OnEvent = Callable[[Job, str, dict[str, Any]], None]  # (job, kind, values); kinds: start, progress, epoch, done
PROGRESS_S = 0.2  # least time between two progress events of a worker


@dataclass(frozen=True, kw_only=True)
class ExecutorConfig:
    """[executor]: where cells run. Never part of a cell's key."""

    kind: Literal["auto", "serial", "process"] = "auto"  # auto: serial on a GPU or for one cell, else process
    workers: int = 0  # processes; 0: cores / train.threads

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ValueError(f"workers must not be below 0, but is {self.workers}")


def execute(jobs: Sequence[Job], config: ExecutorConfig, on_event: OnEvent) -> None:
    """Run all jobs; returns when the last is done.

    Raises:
        UserError: the first that a job raised; the jobs that were running are given up, finished ones stay.
    """
    workers = workers_for(jobs, config)
    if workers == 1:
        for job in jobs:
            on_event(job, "start", {})
            cells.run(job, lambda kind, job=job, **values: on_event(job, kind, values))
    else:
        _in_processes(jobs, workers, on_event)


def workers_for(jobs: Sequence[Job], config: ExecutorConfig) -> int:
    """How many processes: 1 stands for this one."""
    on_cpu = all(job.cell.model.train.device_used == "cpu" for job in jobs)
    if not jobs or config.kind == "serial" or (config.kind == "auto" and (not on_cpu or len(jobs) == 1)):
        return 1
    threads = max(job.cell.model.train.threads for job in jobs)
    return min(len(jobs), config.workers or max(1, (os.cpu_count() or 1) // threads))


def _in_processes(jobs: Sequence[Job], workers: int, on_event: OnEvent) -> None:
    context = multiprocessing.get_context("spawn")  # forking a process with torch's or polars' threads can hang
    todo, events = context.Queue(), context.Queue()
    for number, job in enumerate(jobs):
        todo.put((number, job))
    for _ in range(workers):
        todo.put(None)
    processes = [context.Process(target=_work, args=(todo, events), daemon=True) for _ in range(workers)]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is the parent's, from the first moment
    for process in processes:
        process.start()
    signal.signal(signal.SIGINT, before)
    try:
        _listen(jobs, processes, events, on_event)
    finally:
        for process in processes:
            process.terminate()  # nothing is lost: what a killed cell leaves is made again
            process.join(timeout=10)


def _listen(jobs: Sequence[Job], processes: list[Any], events: Any, on_event: OnEvent) -> None:
    left = len(jobs)
    while left:
        dead = [process.exitcode for process in processes if process.exitcode not in (None, 0)]
        if dead:
            raise UserError(
                f"A worker process ended with exit code {dead[0]} (a negative one is a signal; -9 is often the system "
                "running out of memory). Finished cells are kept: run the same command again, perhaps with "
                "executor.workers=1."
            )
        try:
            number, kind, values = events.get(timeout=0.5)
        except queue.Empty:
            continue
        if kind == "error":
            raise values["error"]
        left -= kind == "done"
        on_event(jobs[number], kind, values)


def _work(todo: Any, events: Any) -> None:
    """A worker's life: jobs until there are no more."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    while (item := todo.get()) is not None:
        number, job = item
        events.put((number, "start", {}))
        try:
            cells.run(job, _throttled(number, events))
        except Exception as error:
            if isinstance(error, UserError | PermissionError) or disk_full(error):
                events.put((number, "error", {"error": error}))  # the user's to mend: the command line says it
                continue
            text = "".join(traceback.format_exception(error))
            events.put((number, "error", {"error": RuntimeError(f"{job.cell.name} failed in a worker:\n{text}")}))


def _die_with_parent() -> None:
    """A parent killed by SIGKILL can't end its workers: without this they would train on, holding cells' locks."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in a worker"
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _throttled(number: int, events: Any) -> Callable[..., None]:
    last = 0.0

    def emit(kind: str, **values: Any) -> None:
        nonlocal last
        if kind == "progress" and time.monotonic() - last < PROGRESS_S:
            return
        last = time.monotonic()
        events.put((number, kind, values))

    return emit
