"""What runs on a node: a cell in a worker of Ray, and between workers and driver a mailbox.

A worker trains in its main thread, as anywhere; a second thread brings events to the mailbox and learns there that the
run is to stop. It then sends SIGTERM to its own process, which means the same to a cell as on the driver's machine:
finish the step and save.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from foldline.core import artefacts, files, interrupt
from foldline.core.errors import complaints_to, from_worker
from foldline.run import turns
from foldline.run.cells import Job
from foldline.run.on_ray import nodes, parcels
from foldline.run.on_ray.nodes import Expected

EXCHANGE_S = 0.2  # between two looks of a worker at the mailbox
COMPLAINT = "complaint"  # kind of an event that is nobody's cell's
Event = tuple[str, str, dict[str, Any]]  # key of a job, kind, values


class Ended(NamedTuple):
    """How a task has ended."""

    how: str  # "done", "stopped", "unfit", "error"
    what: Any = None  # "unfit": a clause; "error": an exception
    left: parcels.Contents | None = None  # what the cell has left, where no folder is shared


class Mailbox:
    """An actor: events of all workers, until the driver takes them, and the driver's word to stop.

    It does one thing at a time, and each task comes here before it begins: those that came before the word have begun
    and are left to save, those that come after it do nothing.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._begun: set[str] = set()
        self._stopping = False

    def exchange(self, task: str, events: list[Event]) -> bool:
        """Leave a task's events; return whether it is to stop. task: its id."""
        self._begun.add(task)
        self._events += events
        return self._stopping

    def take(self) -> list[Event]:
        """Return the events that have come since the last time."""
        taken, self._events = self._events, []
        return taken

    def stop(self) -> set[str]:
        """Tell all workers to stop at their next look; return the ids of the tasks that have come here so far."""
        self._stopping = True
        return self._begun


@dataclass(frozen=True)
class Shared:
    """What all cells of a run are given."""

    mailbox: Any  # handle of the Mailbox
    expected: Expected
    checked: artefacts.Seen  # what the driver has compared with its checksums
    blas_threads: int  # of the driver, as sums may depend on them

    @property
    def by_path(self) -> bool:
        """Whether nodes see the driver's home folder."""
        return bool(self.expected.token)


def run_cell(job: Job, shared: Shared, sent: Sequence[parcels.Parcel] = ()) -> Ended:
    """Run a job in this process, as a task of Ray; it is trained, and predicts, as everywhere.

    sent: what it reads, where no folder is shared.
    """
    if trouble := nodes.trouble(shared.expected):
        return Ended("unfit", trouble)
    home = shared.expected.home
    if shared.by_path:
        with files.at_home_everywhere(Path(home)):
            artefacts.trust(shared.checked)
            return _run(job, shared)
    with files.at_home_everywhere(parcels.node_home(home)):
        parcels.unpack(sent)
        ended = _run(parcels.moved(job, home), shared)
        return ended._replace(left=parcels.left_by(job.cell))


def _run(job: Job, shared: Shared) -> Ended:
    from threadpoolctl import threadpool_limits

    with (
        threadpool_limits(shared.blas_threads, user_api="blas"),
        interrupt.deferred(signal.SIGTERM),
        _Line(shared.mailbox, job.key).open() as line,
        complaints_to(lambda text: line.put(COMPLAINT, {"text": text})),
    ):
        try:
            turns.take_from(_One(job), 1, turns.throttled(lambda _, kind, values: line.put(kind, values)))
        except KeyboardInterrupt:
            return Ended("stopped")
        except SystemExit:
            raise
        except BaseException as error:  # a panic in a library's Rust code is no Exception
            return Ended("error", from_worker(error))
    return Ended("done")


def blas_threads() -> int:
    """Return how many threads numpy's linear algebra uses in this process."""
    from threadpoolctl import threadpool_info

    return max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)


class _One:
    """A source of one job, which says since when it could begin."""

    def __init__(self, job: Job) -> None:
        self._left: Job | None = job

    def next(self, wait: bool) -> Job | None:
        job, self._left = self._left, None
        return job

    def done(self, job: Job) -> None:
        """Leave that to the driver, which hears of it."""


class _Line:
    """A worker's line to the mailbox: a thread that exchanges events for the word to stop."""

    def __init__(self, mailbox: Any, key: str) -> None:
        self._mailbox, self._key = mailbox, key
        self._waiting: list[Event] = []
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._told = False  # a second signal would end the cell in the middle of its step

    def put(self, kind: str, values: dict[str, Any]) -> None:
        """Send an event, soon."""
        with self._lock:
            self._waiting.append((self._key, kind, values))

    @contextmanager
    def open(self) -> Iterator[_Line]:
        """Exchange inside the block; at its end all events have arrived. Nothing begins after the word to stop."""
        if self._exchange():
            self._told = True
            interrupt.request()
        thread = threading.Thread(target=self._talk, name="line to the driver", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._closing.set()
            thread.join()

    def _talk(self) -> None:
        while True:
            closing = self._closing.wait(EXCHANGE_S)
            if self._exchange() and not self._told and not closing:
                self._told = True
                os.kill(os.getpid(), signal.SIGTERM)
            if closing:
                return

    def _exchange(self) -> bool:
        import ray

        with self._lock:
            events, self._waiting = self._waiting, []
        try:
            return bool(ray.get(self._mailbox.exchange.remote(ray.get_runtime_context().get_task_id(), events)))
        except (
            ray.exceptions.RayError
        ):  # it is being started again: events tell how far a cell is, results do not hang on them
            return False
