"""The processes that try: each takes a trial, trains its cells, tells the score, until no trial is left or time is up.

One worker is this process itself. Several are spawned ones; one that is killed is replaced, and its trial is done again
by whoever comes next. A killed parent takes its workers with it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from foldline.core import interrupt
from foldline.core.errors import UserError, disk_full
from foldline.evidence.tuning import pruning, trial_evaluation
from foldline.evidence.tuning.leases import BEAT_S
from foldline.evidence.tuning.trial_queue import REFUSED, TrialQueue, seconds_a_trial
from foldline.evidence.tuning.tuning_file import Search
from foldline.experiment import records
from foldline.run import cells, executors
from foldline.run.cells import Job
from foldline.run.tracking import OpenTracker, Tracker

LOOK_S = 1.0  # between two looks at the study, of who waits and of who shows it
LOSSES = 3  # workers that may be killed, for each one asked for, without a trial ending in between


class Pruned(Exception):
    """The trial is not worth going on with."""


class OutOfTime(Exception):
    """The time of the search is over in the middle of a trial."""


@dataclass(frozen=True)
class TimeLimit:
    """When the search ends, besides by its number of trials."""

    until: float = float("inf")  # seconds since 1970: the end of all, the last check included
    check: float = 0.0  # what the last check takes, in durations of a trial

    def search_ends(self, queue: TrialQueue) -> float:
        """When the last check has to begin, judging by the trials so far."""
        return self.until - self.check * seconds_a_trial(queue.trials())

    def passed(self, queue: TrialQueue) -> bool:
        """No time is left for another trial."""
        return time.time() + seconds_a_trial(queue.trials()) > self.search_ends(queue)


def search(search: Search, workers: int, limit: TimeLimit, look: Callable[[], None], open_tracker: OpenTracker) -> None:
    """Try until the asked number of trials have ended, or time is up.

    Args:
        look: called every second or so.

    Raises:
        UserError: what a worker raised; or workers are killed again and again.
        KeyboardInterrupt: interrupted; running trials are queued again.
    """
    if workers == 1:
        with interrupt.deferred(signal.SIGINT, signal.SIGTERM):
            work(search, limit, look, open_tracker)
    else:
        with interrupt.deferred(signal.SIGTERM):
            _Crew(search, workers, limit, look, open_tracker).run()
    look()


def work(search: Search, limit: TimeLimit, look: Callable[[], None], open_tracker: OpenTracker) -> None:
    """A worker's life. Where others still run the last trials, it stays: one of them might die."""
    queue = TrialQueue(search)
    while queue.ended < search.tune.trials and not limit.passed(queue):
        interrupt.stop_if_requested()
        if not _one(queue, limit, look, open_tracker):
            time.sleep(LOOK_S)
        queue.refuse_unpromising()
        look()


def _one(queue: TrialQueue, limit: TimeLimit, look: Callable[[], None], open_tracker: OpenTracker) -> bool:
    """Do one trial; False: there is none to begin just now."""
    taken = contextlib.suppress(UpdateFinishedTrialError)  # for dead, elsewhere: somebody does it again
    with taken, contextlib.ExitStack() as lease:
        with queue.leases.turn():
            trial = queue.begin()
            if trial is None:
                return False
            lease.enter_context(queue.leases.hold(trial.number))
            trial.set_user_attr("lease", queue.leases.id)
            trial.set_user_attr("beat", time.time())  # machines may differ in what they take for local time
            params = queue.search.space.suggest(trial)
        _Attempt(queue, trial, limit.search_ends(queue), look, open_tracker).run(params)
    return True


class _Attempt:
    """A trial in this worker's hands."""

    def __init__(
        self, queue: TrialQueue, trial: optuna.Trial, ends: float, look: Callable[[], None], open_tracker: OpenTracker
    ) -> None:
        """ends: when it has to stop, in seconds since 1970."""
        self.queue, self.trial, self.ends, self.look = queue, trial, ends, look
        self.open_tracker = open_tracker
        self.tune = queue.search.tune
        self.places: dict[str, tuple[int, int]] = {}  # cell's key -> place of its fold, place inside that
        self.done: dict[str, float] = {}  # cell's key -> how much of it is done, 0 to 1
        self.told = 0.0  # when the last sign of life was given

    def run(self, params: dict[str, Any]) -> None:
        """From values to a told score; whatever goes wrong with these values ends this trial, not the search."""
        state, value, why = TrialState.PRUNED, None, ""
        try:
            value, state = self._score(params), TrialState.COMPLETE
        except Pruned as reason:
            why = str(reason)
        except UserError as error:
            why = f"{REFUSED}{error}"
        except OutOfTime:
            self._requeue()
            return
        except KeyboardInterrupt:
            self._requeue()
            raise
        if why:
            self.trial.set_user_attr("why", why)
        self.queue.study.tell(self.trial, value, state=state, skip_if_finished=True)

    def _requeue(self) -> None:
        """Queue its values again; cells and checkpoints are there for whoever goes on."""
        frozen = next(trial for trial in self.queue.trials() if trial.number == self.trial.number)
        with self.queue.leases.turn():
            self.queue.requeue(frozen, int(self.trial.user_attrs.get("deaths", 0)))

    def _score(self, params: dict[str, Any]) -> float:
        search, folds, score = self.queue.search, self.tune.folds, float("nan")
        ready = trial_evaluation.prepare(search.config(params), self.tune.seeds, self.queue.competition)
        self.done = {cell.key: float(cell.done) for cell in trial_evaluation.cells_of_folds(ready, folds)}
        records.note_cells(search.folder, self.done)
        self.trial.set_user_attr("cells", [cell.name for cell in trial_evaluation.cells_of_folds(ready, folds[:1])])
        with self.open_tracker(ready.config.track, search.name, search.folder, "tune") as tracker:
            for place, fold in enumerate(folds):
                for number, cell in enumerate(trial_evaluation.cells_of_folds(ready, [fold])):
                    self._enter(cell, place, number)
                trial_evaluation.train_fold(ready, fold, partial(self._hear, tracker))
                interrupt.stop_if_requested()
                score = trial_evaluation.mean_score(ready, folds[: place + 1])
                self._report(pruning.step_of(place), score, last=place + 1 == len(folds))
        return score

    def _enter(self, cell: cells.Cell, place: int, number: int) -> None:
        """A cell's turn comes. If it is finished, what it once reported is there for others to be compared with."""
        self.places[cell.key] = (place, number)
        if cell.done:
            for row in cells.history(cell):
                if "watched" in row:
                    self.trial.report(row["watched"], pruning.step_of(place, number, row["epoch"]))

    def _hear(self, tracker: Tracker, job: Job, kind: str, values: dict[str, Any]) -> None:
        """An event of a cell."""
        tracker.event(job.cell, kind, values)
        if kind == "progress":
            self.done[job.key] = values["done"] / values["of"]
        elif kind == "done":
            self.done[job.key] = 1.0
        elif kind == "epoch" and "watched" in values and job.key in self.places:
            self._report(pruning.step_of(*self.places[job.key], values["epoch"]), values["watched"])
        if time.time() - self.told > BEAT_S:
            self.told = time.time()
            self.trial.set_user_attr("beat", self.told)
            self.trial.set_user_attr("share", sum(self.done.values()) / len(self.done))
            self.look()
            if self.told > self.ends:
                raise OutOfTime

    def _report(self, step: int, value: float, last: bool = False) -> None:
        self.trial.report(value, step)
        if not last and pruning.should_prune(self.queue.trials(), self.trial.number, step, value, self.tune):
            raise Pruned(f"in fold {self.tune.folds[pruning.fold_of(step)]}")


class _Crew:
    """Spawned workers. Each has a pipe of its own for what it dies of: the lock of a queue queue would die with it."""

    def __init__(
        self, search: Search, workers: int, limit: TimeLimit, look: Callable[[], None], open_tracker: OpenTracker
    ) -> None:
        self.search, self.workers, self.limit, self.look = search, workers, limit, look
        self.open_tracker = open_tracker
        self.context = multiprocessing.get_context("spawn")  # forking a process with torch's threads can hang
        self.crew: dict[Any, Any] = {}  # process -> the end of its pipe
        self.queue = TrialQueue(search)

    def run(self) -> None:
        """Until all have done their work."""
        lost, ended = 0, self.queue.ended
        try:
            self._hire(self.workers)
            while self.crew:
                multiprocessing.connection.wait([process.sentinel for process in self.crew], timeout=LOOK_S)
                interrupt.stop_if_requested()
                self.look()
                if self.queue.ended > ended:
                    lost, ended = 0, self.queue.ended
                gone = [process for process in self.crew if not process.is_alive()]
                killed = sum(self._killed(process) for process in gone)
                lost += killed
                if lost > LOSSES * self.workers:
                    raise UserError(
                        f"{lost} workers were killed and no trial ended in between; often that is the system running "
                        "out of memory. Run the same command again with fewer: tune.workers=1."
                    )
                self._hire(killed)
        finally:
            self._dismiss()

    def _hire(self, count: int) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is the parent's
        for _ in range(count):
            mine, theirs = self.context.Pipe(duplex=False)
            process = self.context.Process(
                target=_live, args=(theirs, self.search, self.limit, self.open_tracker), daemon=True
            )
            process.start()
            theirs.close()
            self.crew[process] = mine
        signal.signal(signal.SIGINT, before)

    def _killed(self, process: Any) -> bool:
        """Whether one that is gone was killed; what it could not mend itself is raised here."""
        pipe = self.crew.pop(process)
        with contextlib.closing(pipe), contextlib.suppress(EOFError):
            if pipe.poll():
                raise pipe.recv()
        return int(process.exitcode or 0) != 0

    def _dismiss(self) -> None:
        for process in self.crew:
            process.terminate()  # it finishes its step, saves, and queues its trial again
        for process in self.crew:
            process.join(timeout=executors.SAVING_S)
            process.kill()


def _live(pipe: Any, search: Search, limit: TimeLimit, open_tracker: OpenTracker) -> None:
    """What a spawned worker runs."""
    executors.die_with_parent()
    try:
        with interrupt.deferred(signal.SIGTERM):
            work(search, limit, lambda: None, open_tracker)
    except KeyboardInterrupt:
        return
    except Exception as error:
        mendable = isinstance(error, UserError | PermissionError) or disk_full(error)
        text = "".join(traceback.format_exception(error))
        pipe.send(error if mendable else RuntimeError(f"A worker failed:\n{text}"))
