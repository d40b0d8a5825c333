"""Where cells run: in this process one after another, or in worker processes. The result is the same to the last bit.

An executor takes jobs and reports events. What a cell does while it runs is in cell_training.py.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from foldline.core import artefacts, interrupt, worker_start
from foldline.core.errors import TryAgain, UserError, from_worker
from foldline.run import cell_training
from foldline.run.cells import Job

_END = object()
OnEvent = Callable[[Job, str, dict[str, Any]], None]  # (job, kind, values); kinds: start, note, progress, epoch, done
MOST_AT_ONCE = 1024  # cells or processes
SAVING_S = 120.0  # longest wait for a worker's last checkpoint; then it is killed, and its last good one is kept
PROGRESS_S = 0.2  # least time between two progress events of a cell: small networks make hundreds of steps a second


@dataclass(frozen=True, kw_only=True)
class ExecutorConfig:
    """[executor]: where cells run. Never part of a cell's key."""

    kind: Literal["auto", "serial", "process"] = "auto"  # auto: serial on a GPU or for one cell, else process
    workers: int = 0  # processes; 0: cores / train.threads
    together: int = 1  # cells that take turns in one process, step by step: on a GPU they overlap

    def __post_init__(self) -> None:
        if self.workers < 0 or self.together < 1:
            raise ValueError(
                f"workers must not be below 0 and together at least 1, but they are {self.workers} and {self.together}"
            )
        if max(self.workers, self.together) > MOST_AT_ONCE:
            raise ValueError(
                f"workers and together must be at most {MOST_AT_ONCE:,}, but they are {self.workers:,} and "
                f"{self.together:,}: each needs memory for a network, or a process"
            )


class CellFailed(UserError):
    """A cell that could not be trained: what its config asks for does not work. Any other error is nobody's cell's."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message, key)  # both, so that it comes whole out of a worker

    @property
    def key(self) -> str:
        """The cell's."""
        return str(self.args[1])

    def __str__(self) -> str:
        return str(self.args[0])


def execute(jobs: Sequence[Job], config: ExecutorConfig, on_event: OnEvent) -> None:
    """Run all jobs; returns when the last is done.

    Raises:
        CellFailed: the first job that failed; the jobs that were running are given up, finished ones stay.
        UserError: the workers could not go on.
    """
    workers = workers_for(jobs, config)
    if workers == 1:
        with interrupt.deferred(signal.SIGINT, signal.SIGTERM):
            take_turns(jobs, config.together, on_event)
    else:
        _in_processes(jobs, workers, config.together, on_event)


def take_turns(jobs: Iterable[Job], together: int, on_event: OnEvent) -> None:
    """Run jobs in this process, `together` at a time, a step of each in turn. Each has the same result as alone.

    Raises:
        CellFailed: the first job that failed.
        KeyboardInterrupt: interrupted; no job was begun after that, and each that ran has saved.
    """
    waiting, running = iter(jobs), deque[tuple[Job, Iterator[None]]]()
    while True:
        while len(running) < together and not interrupt.requested() and (job := next(waiting, None)) is not None:
            running.append((job, _begun(job, on_event)))
        if not running:
            interrupt.stop_if_requested()
            return
        job, turn = running.popleft()
        try:
            if next(turn, _END) is not _END:
                running.append((job, turn))
        except interrupt.Stopped:
            pass  # it has saved; the other running cells save at their next step
        except TryAgain:
            raise
        except UserError as error:
            raise CellFailed(str(error), job.key) from error


def _begun(job: Job, on_event: OnEvent) -> Iterator[None]:
    on_event(job, "start", {})
    return cell_training.run(job, lambda kind, **values: on_event(job, kind, values))


def workers_for(jobs: Sequence[Job], config: ExecutorConfig) -> int:
    """Return the number of processes; 1 stands for this one."""
    on_cpu = all(job.cell.model.train.device_used == "cpu" for job in jobs)
    if not jobs or config.kind == "serial" or (config.kind == "auto" and (not on_cpu or len(jobs) == 1)):
        return 1
    threads = max(job.cell.model.train.threads for job in jobs)
    return min(len(jobs), config.workers or max(1, (os.cpu_count() or 1) // threads))


def _in_processes(jobs: Sequence[Job], workers: int, together: int, on_event: OnEvent) -> None:
    context = multiprocessing.get_context("spawn")  # forking a process with torch's or polars' threads can hang
    todo, events = context.Queue(), context.Queue()
    # Where workers end early, jobs are left that nobody takes: this process must not wait at its end to send them.
    todo.cancel_join_thread()
    for number, job in enumerate(jobs):
        todo.put((number, job))
    for _ in range(workers):
        todo.put(None)
    given = (todo, events, together, artefacts.checked())
    processes = [context.Process(target=_work, args=given, daemon=True) for _ in range(workers)]
    try:
        with worker_start.starting():
            for process in processes:
                process.start()
        _listen(jobs, processes, events, on_event)
    finally:
        started = [process for process in processes if process.pid is not None]
        for process in started:
            process.terminate()  # it finishes its step and saves
        for process in started:
            process.join(timeout=SAVING_S)
            process.kill()


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
        # Looked at before the queue: a worker's last events are in it before it ends, but may come after an empty look.
        ended = all(process.exitcode == 0 for process in processes)
        try:
            number, kind, values = events.get(timeout=0.5)
        except queue.Empty:
            if ended:
                raise UserError(
                    "The worker processes were stopped by a signal. Their cells are saved: run the same command again."
                ) from None
            continue
        if kind == "error":
            raise values["error"]
        left -= kind == "done"
        on_event(jobs[number], kind, values)


def _work(todo: Any, events: Any, together: int, checked: artefacts.Seen | None = None) -> None:
    """Run jobs from a queue until None comes; report their events, and an error, in another queue.

    checked: what the parent has compared with its checksums.
    """
    die_with_parent()
    artefacts.trust(checked or {})
    numbers: dict[str, int] = {}

    def jobs() -> Iterator[Job]:
        while (item := todo.get()) is not None:
            numbers[item[1].key] = item[0]
            yield item[1]

    sent: dict[int, float] = {}  # when each job's progress was last reported

    def report(job: Job, kind: str, values: dict[str, Any]) -> None:
        number, now = numbers[job.key], time.monotonic()
        if kind == "progress" and now - sent.get(number, 0.0) < PROGRESS_S:
            return
        sent[number] = now
        events.put((number, kind, values))

    try:
        with interrupt.deferred(signal.SIGTERM):
            take_turns(jobs(), together, report)
    except KeyboardInterrupt:
        return
    except SystemExit:
        raise
    except BaseException as error:  # a panic in a library's Rust code is no Exception
        events.put((0, "error", {"error": from_worker(error)}))


def die_with_parent() -> None:
    """Let this process, a spawned worker, end when its parent does.

    A parent killed by SIGKILL can't end its workers: without this they would train on, holding cells' locks.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in a worker"

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
