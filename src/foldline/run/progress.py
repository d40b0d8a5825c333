"""Progress bars of cells, updated by the executor's events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.markup import escape
from rich.progress import Progress, TaskID

from foldline.core.console import Terminal
from foldline.run.cells import Job


@contextmanager
def cell_bars(terminal: Terminal, jobs: Sequence[Job]) -> Iterator[CellBars]:
    """Show one bar for all cells and one for each that runs."""
    with terminal.progress() as progress:
        yield CellBars(terminal, progress, jobs)


class CellBars:
    """Progress bars of cells, updated by the executor's events."""

    def __init__(self, terminal: Terminal, progress: Progress, jobs: Sequence[Job]) -> None:
        self.terminal, self.progress, self.count = terminal, progress, len(jobs)
        self.share = dict.fromkeys((job.key for job in jobs), 0.0)  # how much of each cell is done, 0 to 1
        self.total = progress.add_task("all cells", total=float(len(jobs)))
        self.running: dict[str, TaskID] = {}
        self.resumed: set[str] = set()  # cells that go on from a checkpoint and have not said yet how much was done
        self.before = 0.0  # how much of all cells was done then: no time of this run went into it
        self.start_s: float | None = None  # when the first cell began, s after the bars: workers import libraries first
        self.finished = 0

    def event(self, job: Job, kind: str, values: dict[str, Any]) -> None:
        """Show one event of the executor: see turns.OnEvent for the kinds."""
        if kind == "start" and job.key not in self.running:  # one that was lost with its node begins again
            if self.start_s is None:
                self.start_s = self.progress.tasks[0].elapsed or 0.0
            self.running[job.key] = self.progress.add_task(f"  {escape(job.cell.name)}", total=None)
        elif kind == "progress":
            self.progress.update(self.running[job.key], completed=values["done"], total=values["of"])
            self.share[job.key] = values["done"] / values["of"]
            if job.key in self.resumed:
                self.resumed.remove(job.key)
                self.before += self.share[job.key]
        elif kind == "waiting":
            self.terminal.say(f"  {job.cell.name}: another run is training it; waiting for that one", later="")
        elif kind == "note":
            self.terminal.say(f"  {job.cell.name}: {values['text']}", later="")
        elif kind == "resumed":
            self.resumed.add(job.key)
            self.terminal.say(
                f"  {job.cell.name}: goes on after {values['epoch']} epochs and {values['step']} steps", later=""
            )
        elif kind == "done":
            self.share[job.key] = 1.0
            self.finished += 1
            self.progress.remove_task(self.running.pop(job.key))
            held_out = values.get("held_out")
            score = f", {values['metric']} {held_out:.4f} on the series it held out" if held_out is not None else ""
            self.terminal.say(f"  [{self.finished}/{self.count}] {job.cell.name} done{score}", later="")
        done, start_s = sum(self.share.values()), self.start_s or 0.0
        self.progress.update(self.total, completed=done, before=self.before, start_s=start_s)
