"""`train --dry-run`: what is left to do, and how long it would take on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from foldline.core.console import Terminal
from foldline.core.durations import duration
from foldline.experiment.preparation import PreparedExperiment
from foldline.run import estimate
from foldline.run.cells import Job

AT_MOST = "at most "  # before what early stopping, or a curriculum, may cut short


@dataclass
class Estimate:
    """What is left to do for some experiments, one after the other."""

    to_train: int = 0  # cells
    to_predict: int = 0  # cells, trained ones, that have yet to predict the test series
    seconds: float = 0.0
    is_bound: bool = False  # whether it may take less
    bytes: int = 0
    rows: list[list[str]] = field(default_factory=list)  # of the table

    @staticmethod
    def of(planned: Sequence[tuple[PreparedExperiment, list[Job]]], terminal: Terminal) -> Estimate:
        """Measure a few steps of each model. planned: experiments with their jobs."""
        left = Estimate()
        for prepared, jobs in planned:
            if not jobs:
                continue
            with terminal.bar("measuring a few steps", "models"):
                found = estimate.estimate(jobs, prepared.config.executor)
            left.to_train += sum(each.cells for each in found.models)
            left.to_predict += sum(job.cell.done and not job.force for job in jobs)
            left.seconds += found.elapsed_s
            left.is_bound |= any(each.is_bound for each in found.models)
            left.bytes += prepared.disk_bytes(jobs)
            left.rows += [
                [
                    each.label,
                    str(each.cells),
                    str(each.epochs or "-"),
                    f"{AT_MOST * each.is_bound}{each.cell_s:.1f}",
                    str(each.workers),
                    AT_MOST * each.is_bound + duration(each.total_s),
                ]
                for each in found.models
            ]
        return left

    def show(self, terminal: Terminal) -> None:
        """Print it as the result of the verb."""
        counts = {"to_train": self.to_train, "to_predict": self.to_predict}
        answer = {**counts, "seconds": self.seconds, "bytes": self.bytes}
        if not self.to_train and not self.to_predict:
            terminal.result(answer, "dry run: nothing is left to train")
            return
        if not self.to_train:
            last = f"dry run: nothing is left to train, {self.to_predict} cells have yet to predict the test series"
            terminal.result(answer, last)
            return
        columns = ["", "cells", "epochs", "s a cell", "at a time", "all"]
        terminal.table("estimated from a few steps on this machine", columns, self.rows)
        about = "at most about" if self.is_bound else "about"
        space = f"{self.bytes / 2**20:,.0f} MiB of disk"
        terminal.result(
            answer, f"dry run: nothing was trained; it would take {about} {duration(self.seconds)} and {space}"
        )
