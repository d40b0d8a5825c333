"""The worker processes of a search: each takes a trial, trains its cells, reports the score, and takes the next one.

One worker is this process itself. Several are spawned. One that is killed is replaced, and another worker does its
trial again. If the parent is killed, its workers end too.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError

from foldline.core import artefacts, interrupt, worker_start
from foldline.core.errors import UserError, complain, complaints_to, from_worker
from foldline.evidence.tuning.trial_queue import TrialQueue, seconds_a_trial
from foldline.evidence.tuning.trial_runner import TrialRunner
from foldline.evidence.tuning.tuning_file import Search
from foldline.run import process_executor
from foldline.run.on_ray import session
from foldline.run.tracker import OpenTracker

POLL_S = 1.0  # between two reads of the study, by an idle worker and by the progress display
KILLED_A_WORKER = 3  # that many killed workers for each worker, without a trial ending in between, end the search


@dataclass(frozen=True)
class TimeLimit:
    """When a search ends, besides by its number of trials."""

    until: float = float("inf")  # seconds since 1970: the end of everything, the final check included
    check: float = 0.0  # expected duration of the final check, in durations of a trial

    def search_ends(self, queue: TrialQueue) -> float:
        """Estimate when the final check has to begin, from the trials so far. Seconds since 1970."""
        return self.until - self.check * seconds_a_trial(queue.trials())

    def passed(self, queue: TrialQueue) -> bool:
        """Whether another trial would not end in time."""
        return time.time() + seconds_a_trial(queue.trials()) > self.search_ends(queue)


def run_search(
    search: Search, workers: int, limit: TimeLimit, on_progress: Callable[[], None], open_tracker: OpenTracker
) -> None:
    """Run trials until tune.trials have ended, or time is up.

    Args:
        on_progress: called every second or so.

    Raises:
        UserError: what a worker raised; or workers are killed again and again.
        KeyboardInterrupt: interrupted; running trials are queued again.
    """
    if workers == 1:
        with interrupt.deferred(signal.SIGINT, signal.SIGTERM):
            run_worker(search, limit, on_progress, open_tracker)
    else:
        with interrupt.deferred(signal.SIGTERM):  # Ctrl-C raises in the parent, which then stops its workers
            _WorkerPool(search, workers, limit, on_progress, open_tracker).run()
    on_progress()


def run_worker(search: Search, limit: TimeLimit, on_progress: Callable[[], None], open_tracker: OpenTracker) -> None:
    """Run trials in this process until enough have ended. While others run the last ones it waits: one might die."""
    queue = TrialQueue(search)
    while queue.ended < search.tune.trials and not limit.passed(queue):
        interrupt.stop_if_requested()
        if not _run_next_trial(queue, limit, on_progress, open_tracker):
            time.sleep(POLL_S)
        queue.stop_if_all_refused()
        on_progress()


def _run_next_trial(
    queue: TrialQueue, limit: TimeLimit, on_progress: Callable[[], None], open_tracker: OpenTracker
) -> bool:
    """Run one trial; False: there is none to begin now."""
    # A worker with another folder of leases may take this one for dead and end its trial; then that worker runs it.
    ended_elsewhere = contextlib.suppress(UpdateFinishedTrialError)
    with ended_elsewhere, contextlib.ExitStack() as lease:
        with queue.leases.queue_lock():
            trial = queue.begin()
            if trial is None:
                return False
            lease.enter_context(queue.leases.hold(trial.number))
            trial.set_user_attr("lease", queue.leases.id)
            trial.set_user_attr("beat", time.time())  # Optuna stores a local time
            params = queue.search.space.suggest(trial)
        TrialRunner(queue, trial, limit.search_ends(queue), on_progress, open_tracker).run(params)
    return True


class _WorkerPool:
    """Spawned workers. Each has a pipe of its own to speak by: one killed in a shared queue would leave it locked."""

    def __init__(
        self, search: Search, workers: int, limit: TimeLimit, on_progress: Callable[[], None], open_tracker: OpenTracker
    ) -> None:
        self.search, self.workers, self.limit, self.on_progress = search, workers, limit, on_progress
        self.open_tracker = open_tracker
        self.context = multiprocessing.get_context("spawn")  # forking a process with torch's threads can hang
        self.pipes: dict[Any, Any] = {}  # process -> the end of its pipe
        self.queue = TrialQueue(search)

    def run(self) -> None:
        """Keep the workers running until all have ended by themselves."""
        lost, ended = 0, self.queue.ended
        try:
            self._start(self.workers)
            while self.pipes:
                multiprocessing.connection.wait([process.sentinel for process in self.pipes], timeout=POLL_S)
                interrupt.stop_if_requested()
                self.on_progress()
                if self.queue.ended > ended:
                    lost, ended = 0, self.queue.ended
                for process in self.pipes:
                    self._hear(process)
                gone = [process for process in self.pipes if not process.is_alive()]
                killed = sum(self._was_killed(process) for process in gone)
                lost += killed
                if lost > KILLED_A_WORKER * self.workers:
                    raise UserError(
                        f"{lost} workers were killed and no trial ended in between; often that is the system running "
                        "out of memory. Run the same command again with fewer: tune.workers=1."
                    )
                self._start(killed)
        finally:
            self._stop()

    def _start(self, count: int) -> None:
        for _ in range(count):
            receiver, sender = self.context.Pipe(duplex=False)
            given = (sender, self.search, self.limit, self.open_tracker, artefacts.checked())
            process = self.context.Process(target=_worker_main, args=given, daemon=True)
            with worker_start.starting():
                process.start()
            sender.close()  # so that reading ends when the worker does
            self.pipes[process] = receiver

    def _was_killed(self, process: Any) -> bool:
        """Whether a worker that has ended was killed.

        Raises:
            Exception: what the worker raised.
        """
        self._hear(process)
        self.pipes.pop(process).close()
        return int(process.exitcode or 0) != 0

    def _hear(self, process: Any) -> None:
        """Hand on what a worker complains of, to whoever listens to this process.

        Raises:
            Exception: what the worker raised.
        """
        pipe = self.pipes[process]
        with contextlib.suppress(EOFError):
            while pipe.poll():
                said = pipe.recv()
                if isinstance(said, Exception):
                    raise said
                complain(said)

    def _stop(self) -> None:
        for process in self.pipes:
            process.terminate()  # the worker finishes its step, saves, and queues its trial again
        for process in self.pipes:
            process.join(timeout=process_executor.SAVING_S)
            process.kill()


def _worker_main(
    pipe: Any, search: Search, limit: TimeLimit, open_tracker: OpenTracker, checked: artefacts.Seen
) -> None:
    """Run a spawned worker; an exception goes through the pipe, and so do complaints, texts.

    checked: what the parent has compared with its checksums.
    """
    worker_start.die_with_parent()
    artefacts.trust(checked)
    try:
        with interrupt.deferred(signal.SIGTERM), complaints_to(pipe.send), session.kept():
            run_worker(search, limit, lambda: None, open_tracker)
    except KeyboardInterrupt:
        return
    except SystemExit:
        raise
    except BaseException as error:  # a panic in a library's Rust code is no Exception
        pipe.send(from_worker(error))
