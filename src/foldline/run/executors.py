"""Where cells run: in this process one after another, or in worker processes. The result is the same to the last bit.

An executor takes jobs and reports events. A job begins as soon as what its cell needs is done (schedule.py); what a
cell does while it runs is in cell_training.py.
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from foldline.core import artefacts, interrupt, worker_start
from foldline.core.errors import TryAgain, UserError, complain, complaints_to, from_worker
from foldline.run import cell_training
from foldline.run.cells import Job
from foldline.run.schedule import Schedule

_END = object()
OnEvent = Callable[[Job, str, dict[str, Any]], None]  # (job, kind, values); kinds: start, note, progress, epoch, done
MOST_AT_ONCE = 1024  # cells or processes
SAVING_S = 120.0  # longest wait for a worker's last checkpoint; then it is killed, and its last good one is kept
LOOK_S = 0.5  # how often a process that waits for another looks whether it was told to end, or the other has ended
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


class Source(Protocol):
    """Where the cells that take turns in a process come from."""

    def next(self, wait: bool) -> Job | None:
        """Return a job that may begin; None where there is none now, or with `wait`, none any more."""

    def done(self, job: Job) -> None:
        """Note that a job is done."""


def execute(jobs: Sequence[Job], config: ExecutorConfig, on_event: OnEvent) -> None:
    """Run all jobs; returns when the last is done.

    Args:
        jobs: with different keys. One whose cell needs another's begins when that is done, whatever their order.

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


def take_turns(jobs: Sequence[Job], together: int, on_event: OnEvent) -> None:
    """Run jobs in this process, `together` at a time, a step of each in turn. Each has the same result as alone.

    Raises:
        CellFailed: the first job that failed.
        KeyboardInterrupt: interrupted; no job was begun after that, and each that ran has saved.
    """
    _take_turns(_InThisProcess(jobs), together, on_event)


class _InThisProcess:
    """Jobs of a schedule that nobody else takes from."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._schedule = Schedule(jobs)
        self.done = self._schedule.done

    def next(self, wait: bool) -> Job | None:
        job = self._schedule.ready()
        assert job or not wait or self._schedule.all_given, "nothing runs that this could wait for"
        return job


def _take_turns(source: Source, together: int, on_event: OnEvent) -> None:
    running = deque[tuple[Job, Iterator[None]]]()
    while True:
        while len(running) < together and not interrupt.requested():
            job = source.next(wait=not running)
            if job is None:
                break
            running.append((job, _begun(job, on_event)))
        if not running:
            interrupt.stop_if_requested()
            return
        job, turn = running.popleft()
        try:
            if next(turn, _END) is _END:
                source.done(job)
            else:
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
    given = (todo, events, together, artefacts.checked())
    processes = [context.Process(target=_work, args=given, daemon=True) for _ in range(workers)]
    try:
        with worker_start.starting():
            for process in processes:
                process.start()
        _listen(jobs, processes, todo, events, on_event)
    finally:
        started = [process for process in processes if process.pid is not None]
        for process in started:
            process.terminate()  # it finishes its step and saves
        for process in started:
            process.join(timeout=SAVING_S)
            process.kill()


def _listen(jobs: Sequence[Job], processes: list[Any], todo: Any, events: Any, on_event: OnEvent) -> None:
    """Give workers what may begin, and hand their events on, until all jobs are done."""
    schedule, by_key, left = Schedule(jobs), {job.key: job for job in jobs}, len(jobs)
    _give(schedule, todo, len(processes))
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
            key, kind, values = events.get(timeout=LOOK_S)
        except queue.Empty:
            if ended:
                raise UserError(
                    "The worker processes were stopped by a signal. Their cells are saved: run the same command again."
                ) from None
            continue
        if kind == "error":
            raise values["error"]
        if kind == "complaint":  # whoever listens to this process gets it, as from a cell that it trains itself
            complain(values["text"])
            continue
        if kind == "done":
            left -= 1
            schedule.done(by_key[key])
            _give(schedule, todo, len(processes))
        on_event(by_key[key], kind, values)


def _give(schedule: Schedule, todo: Any, workers: int) -> None:
    """Give workers all jobs that may begin now; after the last one None, a worker each: there are no more."""
    if schedule.all_given:
        return
    while (job := schedule.ready()) is not None:
        todo.put(job)
    if schedule.all_given:
        for _ in range(workers):
            todo.put(None)


class _FromParent:
    """Jobs that a worker takes from the queue which its parent fills."""

    def __init__(self, todo: Any) -> None:
        self._todo = todo
        self._ended = False

    def next(self, wait: bool) -> Job | None:
        while not self._ended and not interrupt.requested():
            try:
                # A signal only makes a note (interrupt.deferred) and does not end a wait: hence the looks in between.
                job: Job | None = self._todo.get(timeout=LOOK_S if wait else 0.0)
            except queue.Empty:
                if not wait:
                    return None
                continue
            self._ended = job is None
            return job
        return None

    def done(self, job: Job) -> None:
        """Leave that to the parent, which hears of it."""


def _work(todo: Any, events: Any, together: int, checked: artefacts.Seen | None = None) -> None:
    """Run jobs from a queue until None comes; report their events, complaints and an error in another queue.

    checked: what the parent has compared with its checksums.
    """
    die_with_parent()
    artefacts.trust(checked or {})
    sent: dict[str, float] = {}  # when each job's progress was last reported

    def report(job: Job, kind: str, values: dict[str, Any]) -> None:
        now = time.monotonic()
        if kind == "progress":
            if now - sent.get(job.key, float("-inf")) < PROGRESS_S:
                return
            sent[job.key] = now
        events.put((job.key, kind, values))

    def complained(text: str) -> None:
        events.put(("", "complaint", {"text": text}))

    try:
        with interrupt.deferred(signal.SIGTERM), complaints_to(complained):
            _take_turns(_FromParent(todo), together, report)
    except KeyboardInterrupt:
        return
    except SystemExit:
        raise
    except BaseException as error:  # a panic in a library's Rust code is no Exception
        events.put(("", "error", {"error": from_worker(error)}))


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
