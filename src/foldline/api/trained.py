"""One experiment from its plan to its record and report: what `train` does once, and for each of several targets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.console import Terminal
from foldline.experiment import cell_runs, exact_tables, ranked_rows, scoring, stored_experiment
from foldline.experiment.config_plans import ConfigPlan
from foldline.experiment.preparation import PreparedExperiment
from foldline.experiment.result import MOST_TARGETS, Result
from foldline.experiment.runs_index import short_path
from foldline.output import report, submission
from foldline.output.report import Provenance, ReportData
from foldline.output.submission import Gate
from foldline.output.tracking import TrackConfig, WandbTracker
from foldline.run import cell_cost
from foldline.run.cell_cost import Spent
from foldline.run.cells import Job


@dataclass(frozen=True, kw_only=True)
class Trained:
    """An experiment whose cells are finished, with what came of them."""

    prepared: PreparedExperiment
    folder: Path
    result: Result
    predictions: np.ndarray  # (A, K) of the test table
    report: ReportData
    page: Path
    track: TrackConfig  # for the summary
    changed: bool  # whether there is anything new to track

    @staticmethod
    def of(
        prepared: PreparedExperiment,
        jobs: list[Job],
        folder: Path,
        command: str,
        seconds: dict[str, float],
        terminal: Terminal,
        latest: bool = True,
    ) -> Trained:
        """Train what is not trained, blend, post-process, record, report.

        Args:
            jobs: of its cells.
            folder: of its record.
            command: as it was typed.
            seconds: how long each step took so far; steps are added.
            latest: whether `latest` shall point to the record.
        """
        config = prepared.config
        with exact_tables.beside(config, prepared.competition, jobs, terminal) as decoding:
            track = cell_runs.run_cells(config, jobs, prepared.plan, folder, "train", terminal, WandbTracker)
            with timed(seconds, "decoding"):  # what is left of it
                exact = exact_tables.obtain(config, prepared.competition, terminal, decoding)
        with timed(seconds, "blending"), terminal.bar("blend and baselines", "scored"):
            table, own = prepared.competition.train, prepared.members
            ranked = ranked_rows.of_both(config.post, own, prepared.train, prepared.test)
            result = scoring.combine(config, own, prepared.train, prepared.folds, exact[0], table, ranked[0])
            used = (result.blend, result.grids, config.post, own)
            predictions = scoring.predict(*used, prepared.test, exact[1], result.decisions, result.tidied, ranked[1])
        _record(folder, prepared, result, latest)
        data = ReportData(
            config=config,
            plan=prepared.plan,
            members=prepared.members,
            result=result,
            train=result.counted(prepared.train),
            competition=prepared.competition,
            exact=exact,
            ranked=ranked,
            provenance=Provenance.here(command, seconds),
        )
        changed = bool(jobs) or not (folder / "report.html").exists()
        with terminal.bar("report", "pages"):
            page = report.write(folder, data)
        return Trained(
            prepared=prepared,
            folder=folder,
            result=result,
            predictions=predictions,
            report=data,
            page=page,
            track=track,
            changed=changed,
        )

    @property
    def gate(self) -> Gate:
        """Return what its submission is checked by."""
        competition, check_range = self.prepared.competition, self.prepared.config.post.check_range
        return Gate(competition.test, competition.sample, self.result.expected, check_range)

    def submission(self) -> pl.DataFrame:
        """Lay its predictions out as the sample has them."""
        competition = self.prepared.competition
        return submission.build(competition.test, self.predictions, competition.sample)

    def show(self, terminal: Terminal) -> None:
        """Print the score table, and what is to be said of it."""
        config, result = self.prepared.config, self.result
        terminal.table("", *result.table(config.data))
        if result.models_alone is not None:
            terminal.say(
                f"{config.data.metric} {result.score:.4f} with exact rows in place; the models alone reach "
                f"{result.models_alone:.4f}"
            )
        if (ranked := self.report.ranked_counts) is not None:
            terminal.say(ranked.sentence)
        if result.lost:
            terminal.warn(result.warning(config.data))
        costs = cell_cost.costs_of(cell.key for cell in self.report.cells)
        if costs:
            terminal.say(str(Spent.of(costs)))
        terminal.say(f"report: {short_path(self.page)}")
        if len(result.targets) > MOST_TARGETS:
            terminal.say(f"scores of all targets: {short_path(self.page.with_name(report.TARGETS_FILE))}")

    def track_summary(self, path: Path, terminal: Terminal) -> None:
        """Send the summary to the tracker, where there is anything new. path: of the submission."""
        if self.changed:
            tracker = WandbTracker(self.track, self.prepared.config.name, self.folder, "train")
            report.track(tracker, self.report, {"submission": path, "folds": self.prepared.folds.path}, terminal)

    def to_json(self) -> dict[str, object]:
        """Return what --json says of its scores."""
        result = self.result
        return {
            "report": str(self.page),
            "score": result.score,
            "models_alone": result.models_alone,
            "scores": result.scores,
            "by_target": result.by_target,
            "baselines": result.baselines,
            "lost_to_baseline": result.lost,
            **({} if (ranked := self.report.ranked_counts) is None else {"ranked": ranked.to_json()}),
        }


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Measure how long a step of the run takes, s."""
    began = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - began


def _record(folder: Path, prepared: PreparedExperiment, result: Result, latest: bool) -> None:
    parts, competition = [ConfigPlan(prepared.config, prepared.plan)], prepared.competition
    stored_experiment.write(
        *(folder, prepared.config, parts, prepared.outside_members, result, competition, result.expected),
        latest=latest,
    )
