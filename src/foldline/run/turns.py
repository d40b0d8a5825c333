"""Cells that take turns in one process, a step of each at a time, and what they report: what every executor does.

What a cell does while it runs is in cell_training.py.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from foldline.core import interrupt
from foldline.core.errors import TryAgain, UserError
from foldline.run import cell_training
from foldline.run.cells import Job
from foldline.run.schedule import Schedule

_END = object()
PROGRESS_S = 0.2  # least time between two progress events of a cell: small networks make hundreds of steps a second
OnEvent = Callable[[Job, str, dict[str, Any]], None]  # (job, kind, values); kinds: start, note, progress, epoch, done


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


def take_turns(jobs: Sequence[Job], together: int, on_event: OnEvent) -> None:
    """Run jobs in this process, `together` at a time, a step of each in turn. Each has the same result as alone.

    Raises:
        CellFailed: the first job that failed.
        KeyboardInterrupt: interrupted; no job was begun after that, and each that ran has saved.
    """
    take_from(_InThisProcess(jobs), together, on_event)


def take_turns_briefly(jobs: Sequence[Job], together: int, on_event: OnEvent, seconds: float) -> list[Job]:
    """Run jobs as `take_turns` does, until this process has computed for so many seconds; return those not begun.

    Seconds of the processor, of all threads: on a busy machine they say how much there is to do, the clock does not.
    """
    source = _InThisProcess(jobs, seconds)
    take_from(source, together, on_event)
    return source.left


class _InThisProcess:
    """Jobs of a schedule that nobody else takes from, until this process has computed for so many seconds."""

    def __init__(self, jobs: Sequence[Job], seconds: float = math.inf) -> None:
        self._schedule = Schedule(jobs)
        self._until = time.process_time() + seconds
        self.done = self._schedule.done

    @property
    def left(self) -> list[Job]:
        """The jobs that were not given out."""
        return self._schedule.waiting

    def next(self, wait: bool) -> Job | None:
        if time.process_time() >= self._until:
            return None
        job = self._schedule.ready()
        assert job or not wait or self._schedule.all_given, "nothing runs that this could wait for"
        return job


def take_from(source: Source, together: int, on_event: OnEvent) -> None:
    """Run jobs of a source in turn, until there are none any more; raises what `take_turns` does."""
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


def throttled(on_event: OnEvent) -> OnEvent:
    """Leave out progress events of a cell that come within PROGRESS_S of its last one: they cross processes."""
    sent: dict[str, float] = {}  # when each job's progress was last reported

    def report(job: Job, kind: str, values: dict[str, Any]) -> None:
        now = time.monotonic()
        if kind == "progress":
            if now - sent.get(job.key, float("-inf")) < PROGRESS_S:
                return
            sent[job.key] = now
        on_event(job, kind, values)

    return report
