"""Run one trial in this process: train its cells fold by fold, report scores, prune it, or queue it again."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import optuna
from optuna.trial import TrialState

from foldline.core import interrupt
from foldline.core.errors import TryAgain, UserError
from foldline.data.metrics import NotScorable
from foldline.evidence.tuning import pruning, trial_evaluation
from foldline.evidence.tuning.leases import heartbeat_s
from foldline.evidence.tuning.trial_queue import REFUSED, TrialQueue
from foldline.experiment import runs_index
from foldline.experiment.preparation import PreparedExperiment
from foldline.run.cells import Cell, Job
from foldline.run.history import read_history
from foldline.run.tracker import OpenTracker, Tracker


class Pruned(Exception):
    """The trial is pruned."""


class OutOfTime(Exception):
    """The time of the search is over in the middle of a trial."""


class TrialRunner:
    """Runs one trial, whose lease this process holds."""

    def __init__(
        self,
        queue: TrialQueue,
        trial: optuna.Trial,
        ends: float,
        on_progress: Callable[[], None],
        open_tracker: OpenTracker,
    ) -> None:
        """
        Args:
            ends: when the trial has to stop, in seconds since 1970.
            on_progress: called with each heartbeat.
        """
        self.queue, self.trial, self.ends, self.on_progress = queue, trial, ends, on_progress
        self.open_tracker = open_tracker
        self.tune = queue.search.tune
        self.places: dict[str, tuple[int, int]] = {}  # cell's key -> place of its fold, place inside the fold
        self.done: dict[str, float] = {}  # cell's key -> share of its training that is done, 0 to 1
        self.last_heartbeat = 0.0  # seconds since 1970

    def run(self, params: dict[str, Any]) -> None:
        """Score the values and end the trial. An error that these values cause ends the trial, not the search.

        Raises:
            KeyboardInterrupt: interrupted; the values are queued again.
        """
        state, value, why = TrialState.PRUNED, None, ""
        try:
            value, state = self._score(params), TrialState.COMPLETE
        except Pruned as reason:
            why = str(reason)
        except TryAgain:  # the trial is found dead, and its values are queued again
            raise
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
        """Queue the values again, without counting a death; finished cells and checkpoints stay and are used."""
        frozen = next(trial for trial in self.queue.trials() if trial.number == self.trial.number)
        with self.queue.leases.queue_lock():
            self.queue.requeue(frozen, int(self.trial.user_attrs.get("deaths", 0)))

    def _score(self, params: dict[str, Any]) -> float:
        """Train and score the trial, fold by fold.

        Raises:
            Pruned, OutOfTime, KeyboardInterrupt: before it is complete.
            UserError: the values make no config, or training with them failed.
        """
        search, folds, score = self.queue.search, self.tune.folds, float("nan")
        ready = trial_evaluation.prepare(search.config(params), self.tune.seeds, self.queue.competition)
        self.done = {cell.key: float(cell.done) for cell in trial_evaluation.cells_of_folds(ready, folds)}
        runs_index.note_cells(search.folder, self.done)
        names = [cell.name for cell in trial_evaluation.cells_of_folds(ready, folds[:1])]
        self.trial.set_user_attr("cells", names)  # pruning compares only trials with the same cells inside a fold
        with self.open_tracker(ready.config.track, search.name, search.folder, "tune") as tracker:
            for place, fold in enumerate(folds):
                for number, cell in enumerate(trial_evaluation.cells_of_folds(ready, [fold])):
                    self.places[cell.key] = (place, number)
                    self._report_history(cell)
                trial_evaluation.train_fold(ready, fold, partial(self._on_event, tracker))
                interrupt.stop_if_requested()
                score = self._score_so_far(ready, place)
        return score

    def _score_so_far(self, ready: PreparedExperiment, place: int) -> float:
        """Score the folds up to a place, and report that; NaN while the metric is not defined on them.

        Raises:
            Pruned
            NotScorable: it is not defined on all folds together.
        """
        folds, last = self.tune.folds[: place + 1], place + 1 == len(self.tune.folds)
        try:
            score, pooled = trial_evaluation.mean_score(ready, folds)
        except NotScorable:
            if last:
                raise
            return float("nan")
        if pooled:
            self.trial.set_user_attr("pooled", True)
        self._report(pruning.step_of(place), score, last)
        return score

    def _report_history(self, cell: Cell) -> None:
        """Report the watched scores of a cell that was finished before, so that other trials are compared with them."""
        if cell.done:
            for row in read_history(cell):
                if "watched" in row:
                    self.trial.report(row["watched"], pruning.step_of(*self.places[cell.key], row["epoch"]))

    def _on_event(self, tracker: Tracker, job: Job, kind: str, values: dict[str, Any]) -> None:
        """Handle an event of a cell: track it, note progress, report watched scores, give a heartbeat."""
        tracker.event(job.cell, kind, values)
        if kind == "progress":
            self.done[job.key] = values["done"] / values["of"]
        elif kind == "done":
            self.done[job.key] = 1.0
        elif kind == "epoch" and "watched" in values and job.key in self.places:
            self._report(pruning.step_of(*self.places[job.key], values["epoch"]), values["watched"])
        if time.time() - self.last_heartbeat > heartbeat_s(self.tune.lost_s):
            self._heartbeat()

    def _heartbeat(self) -> None:
        self.last_heartbeat = time.time()
        self.trial.set_user_attr("beat", self.last_heartbeat)
        self.trial.set_user_attr("share", sum(self.done.values()) / len(self.done))
        self.on_progress()
        if self.last_heartbeat > self.ends:
            raise OutOfTime

    def _report(self, step: int, value: float, last: bool = False) -> None:
        self.trial.report(value, step)
        if not last and pruning.should_prune(
            self.queue.trials(), self.trial.number, step, value, self.tune, self.queue.metric.cost
        ):
            raise Pruned(f"in fold {self.tune.folds[pruning.fold_of(step)]}")
