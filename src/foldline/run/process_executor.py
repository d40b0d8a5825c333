"""Cells in spawned worker processes of this machine, which take jobs from one queue and report events in another."""

from __future__ import annotations

import multiprocessing
import queue
import signal
from collections.abc import Sequence
from typing import Any

from foldline.core import artefacts, interrupt, worker_start
from foldline.core.errors import UserError, complain, complaints_to, from_worker
from foldline.run import lanes, turns
from foldline.run.cells import Job
from foldline.run.schedule import Schedule
from foldline.run.turns import OnEvent

SAVING_S = 120.0  # longest wait for a worker's last checkpoint; then it is killed, and its last good one is kept
LOOK_S = 0.5  # how often a process that waits for another looks whether it was told to end, or the other has ended


def execute(jobs: Sequence[Job], workers: int, together: int, on_event: OnEvent, gpus: Sequence[str] = ()) -> None:
    """Run jobs in so many worker processes; as executors.execute. gpus: of the first ones, a word each (lanes.py)."""
    context = multiprocessing.get_context("spawn")  # forking a process with torch's or polars' threads can hang
    other, gpu, events = context.Queue(), context.Queue(), context.Queue()
    # Where workers end early, jobs are left that nobody takes: this process must not wait at its end to send them.
    other.cancel_join_thread()
    gpu.cancel_join_thread()
    places = [(gpu, word) for word in gpus] + [(other, "")] * (workers - len(gpus))
    todo = lanes.Todo(gpu, other, [place for place, _ in places]) if gpus else other
    given = (events, together, artefacts.checked())
    processes = [context.Process(target=_work, args=(place, *given, word), daemon=True) for place, word in places]
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
        stopped = [process.exitcode == 0 for process in processes]
        ended = all(stopped) or (any(stopped) and not schedule.all_given)  # what waits may need the cell of that one
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


def _work(todo: Any, events: Any, together: int, checked: artefacts.Seen | None = None, gpu: str = "") -> None:
    """Run jobs from a queue until None comes; report their events, complaints and an error in another queue.

    Args:
        checked: what the parent has compared with its checksums.
        gpu: the word of the only GPU that this process sees; empty: it sees what its parent does.
    """
    lanes.show_only(gpu)
    worker_start.die_with_parent()
    artefacts.trust(checked or {})

    def report(job: Job, kind: str, values: dict[str, Any]) -> None:
        events.put((job.key, kind, values))

    def complained(text: str) -> None:
        events.put(("", "complaint", {"text": text}))

    # What SIGTERM finds again behind the work: a worker that it ended while its last events are sent would take a lock
    # along, that of their queue, and the others would wait for it at their own end.
    if multiprocessing.parent_process() is not None:
        signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        with interrupt.deferred(signal.SIGTERM), complaints_to(complained):
            turns.take_from(_FromParent(todo), together, turns.throttled(report))
    except KeyboardInterrupt:
        return
    except SystemExit:
        raise
    except BaseException as error:  # a panic in a library's Rust code is no Exception
        events.put(("", "error", {"error": from_worker(error)}))
