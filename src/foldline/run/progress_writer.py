"""Writes progress.json of a run: when it begins, when a cell begins or ends, and once a second between."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from foldline.core import files
from foldline.core.json_values import without_nan
from foldline.run import progress_file, run_end
from foldline.run.cells import Cell, Job
from foldline.run.progress_file import PROGRESS, CellProgress, RunProgress
from foldline.run.turns import CellFailed

PERIOD_S = 1.0  # between two states of which only shares and epochs differ
AT_ONCE = ("start", "waiting", "done")  # kinds of events that don't wait for that
NOTES = 50  # that are kept, the last ones
ELSEWHERE = "another run trains it"


def run_of(part: str, verb: str, folder: Path, metric: str, kind: str, at_a_time: int) -> RunProgress:
    """Describe a run of this process, which begins now, without its cells. Arguments as in RunProgress."""
    return RunProgress(
        part=part,
        verb=verb,
        folder=folder.relative_to(files.runs()).as_posix(),
        metric=metric,
        kind=kind,
        at_a_time=at_a_time,
        began=time.time(),
        process=os.getpid(),
        process_began=psutil.Process().create_time(),
    )


def cells_of(
    plan: Iterable[Cell], jobs: Sequence[Job], score: Callable[[Cell], float | None]
) -> dict[str, CellProgress]:
    """List a run's cells by key, in the order of its plan, each after those that it needs.

    Args:
        plan: all cells; those without a job are finished.
        jobs: what is left to do.
        score: of a finished cell, on the series it held out.
    """
    found: dict[str, CellProgress] = {}
    every = {cell.key: cell for cell in [*plan, *(job.cell for job in jobs)]}

    def add(cell: Cell) -> None:
        for other in cell.before:
            add(every.get(other.key, other))
        shown = CellProgress(key=cell.key, name=cell.name, label=cell.line, fold=cell.fold, seed=cell.seed)
        found.setdefault(cell.key, shown)

    waiting = {job.key for job in jobs}
    for cell in every.values():
        add(cell)
    for key, shown in found.items():
        if key not in waiting:
            shown.state, shown.done, shown.before = "done", 1.0, 1.0
            shown.held_out = score(every[key]) if key in every and shown.fold is not None else None
    return found


class ProgressWriter:
    """Keeps progress.json up to date; a context manager that is told of the executor's events.

    Where another process trains the same experiment, that one's file stays: this one waits for its cells.
    """

    def __init__(self, run: RunProgress, cells: dict[str, CellProgress], warn: Callable[[str], None]) -> None:
        self.path = files.runs() / run.folder / PROGRESS
        self.run, self.cells, self.warn = run, cells, warn
        run.cells = list(cells.values())
        self.resumed: set[str] = set()  # cells that go on from a checkpoint and have not said yet how much was done
        self.last = 0.0  # when it was written, by a clock that nobody sets
        other = progress_file.read(self.path)
        self.writes = other is None or other.state != "training" or other.process == run.process or not other.alive
        if other is not None and other.process == run.process and other.process_began == run.process_began:
            self._keep_failed(other)

    def _keep_failed(self, other: RunProgress) -> None:
        """Keep the cells of this process that failed: an ablation goes on without them."""
        self.run.cells += [cell for cell in other.cells if cell.state == "failed" and cell.key not in self.cells]

    def __enter__(self) -> Self:
        run_end.begins(self.path)
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._end(error)
            return
        self.run.state = "trained"
        self._write()
        run_end.trained(self.path, self._end)

    def _end(self, error: BaseException) -> None:
        """Note what has ended the run, among its cells or after them."""
        run = self.run
        if isinstance(error, KeyboardInterrupt | SystemExit):
            run.state = "stopped"
        else:
            run.state, run.error = "failed", str(error)
        if isinstance(error, CellFailed) and error.key in self.cells:
            cell = self.cells[error.key]
            cell.state, cell.remark = "failed", str(error)
        self._write()

    def event(self, job: Job, kind: str, values: dict[str, Any]) -> None:
        """Note an event of the executor: see turns.OnEvent for the kinds."""
        cell, now = self.cells[job.key], time.time()
        if kind == "start":
            cell.state, cell.began, cell.remark = "training", now, ""
            cell.before = 0.0 if job.force or not job.cell.done else 1.0  # 1: it has only test series to predict
        elif kind == "progress":
            cell.state, cell.remark, cell.done = "training", "", round(values["done"] / values["of"], 4)
            if job.key in self.resumed:
                self.resumed.remove(job.key)
                cell.before = cell.done
        elif kind == "resumed":
            self.resumed.add(job.key)
        elif kind == "waiting":
            cell.state, cell.remark = "waiting", ELSEWHERE
        elif kind == "note":
            self.run.notes = [*self.run.notes, f"{cell.name}: {values['text']}"][-NOTES:]
        elif kind == "done":
            cell.state, cell.done, cell.ended, cell.remark = "done", 1.0, now, ""
            cell.held_out = values.get("held_out")
        if kind in AT_ONCE or time.monotonic() - self.last >= PERIOD_S:
            self._write()

    def _write(self) -> None:
        if not self.writes:
            return
        self.last, self.run.written = time.monotonic(), time.time()
        try:
            files.write_text(self.path, json.dumps(without_nan(self.run.to_json())), durable=False)
        except OSError as error:  # nothing depends on this file: training goes on, or fails where it needs the disk
            self.writes = False
            self.warn(f"{self.path} can't be written, so `./run.sh live` shows no more of this run: {error.strerror}.")
