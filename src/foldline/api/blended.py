"""A blend from its plan to its record and pages: what `blend` does once, and for each of several targets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core import artefacts, files
from foldline.core.console import Terminal
from foldline.core.json_values import without_nan
from foldline.ensemble import methods
from foldline.ensemble.methods import FITS
from foldline.evidence.blending import blend_page, member_contributions
from foldline.evidence.blending.blend_comparison import BlendComparison
from foldline.experiment import cell_runs, exact_tables, ranked_rows, scoring, stored_experiment
from foldline.experiment.multi_config import MultiConfigExperiment
from foldline.experiment.result import Result
from foldline.experiment.runs_index import short_path
from foldline.output import report, submission
from foldline.output.report import ExactTables, Provenance, RankedTables, ReportData
from foldline.output.submission import Gate
from foldline.output.tracking import TrackConfig, WandbTracker


@dataclass(frozen=True, kw_only=True)
class Blended:
    """A blend whose members are trained, with what came of it."""

    mixed: MultiConfigExperiment
    folder: Path
    found: BlendComparison
    predictions: np.ndarray  # (A, K) of the test table
    report: ReportData
    track: TrackConfig  # for the summary
    changed: bool  # whether there is anything new to track

    @staticmethod
    def of(
        mixed: MultiConfigExperiment, folder: Path, command: str, terminal: Terminal, latest: bool = True
    ) -> Blended:
        """Train what is not trained, weigh, compare, record, show.

        Args:
            folder: of its record.
            command: as it was typed.
            latest: whether `latest` shall point to the record.
        """
        exact = exact_tables.obtain(mixed.config, mixed.competition, terminal)
        changed = not (folder / "blend.html").exists() or any(any(each.jobs()) for each in mixed.prepared)
        track = _train(mixed, folder, terminal)
        with terminal.bar("weighing", "nested"):
            table = mixed.competition.train
            ranked = ranked_rows.of_both(mixed.config.post, mixed.members, mixed.train, mixed.test)
            used_by = (mixed.config, mixed.members, mixed.train, mixed.folds)
            result = scoring.combine(*used_by, exact[0], table, ranked[0])
        found = _findings(mixed, result, command, terminal)
        used = (result.blend, result.grids, mixed.config.post, mixed.members)
        predictions = scoring.predict(*used, mixed.test, exact[1], result.decisions, result.tidied, ranked[1])
        _write(mixed, folder, found, latest)
        return Blended(
            mixed=mixed,
            folder=folder,
            found=found,
            predictions=predictions,
            report=_report_data(mixed, found, exact, ranked),
            track=track,
            changed=changed,
        )

    @property
    def result(self) -> Result:
        """Return its scores."""
        return self.found.result

    @property
    def page(self) -> Path:
        """Return the path of the page on methods and members."""
        return self.folder / "blend.html"

    @property
    def gate(self) -> Gate:
        """Return what its submission is checked by."""
        competition, check_range = self.mixed.competition, self.mixed.config.post.check_range
        return Gate(competition.test, competition.sample, self.result.expected, check_range)

    def submission(self) -> pl.DataFrame:
        """Lay its predictions out as the sample has them."""
        competition = self.mixed.competition
        return submission.build(competition.test, self.predictions, competition.sample)

    def show(self, terminal: Terminal) -> None:
        """Print what was found."""
        for title, columns, rows in self.found.tables():
            terminal.table(title, columns, rows)
        if self.result.lost:
            terminal.warn(self.result.warning(self.mixed.config.data))
        for line in (f"blend: {self.found.verdict}", *self.found.remarks):
            terminal.say(line)
        terminal.say(f"page: {short_path(self.page)}")

    def write_report(self, terminal: Terminal) -> Path:
        """Write the report of the blended experiment, and return its path."""
        with terminal.bar("report", "pages"):
            written = report.write(self.folder, self.report)
        terminal.say(f"report: {short_path(written)}")
        return written

    def track_summary(self, path: Path, terminal: Terminal) -> None:
        """Send the summary, with the page, to the tracker, where there is anything new. path: of the submission."""
        if self.changed:
            tracker = WandbTracker(self.track, self.mixed.config.name, self.folder, "blend")
            artifacts = {"submission": path, "folds": self.mixed.folds.path, "blend": self.page}
            report.track(tracker, self.report, artifacts, terminal)

    def to_json(self) -> dict[str, object]:
        """Return what --json says of it."""
        return {"page": str(self.page), "report": str(self.folder / "report.html"), **self.found.to_json()}


def _train(mixed: MultiConfigExperiment, folder: Path, terminal: Terminal) -> TrackConfig:
    """Train what is not trained yet. In wandb all cells are in one group, the blend's, and follow its [track].

    Returns [track] for the summary, as `run_cells` does.
    """
    track = mixed.config.track
    for number, prepared in enumerate(mixed.prepared, start=1):
        config, jobs = replace(prepared.config, name=mixed.config.name, track=track), prepared.jobs()
        later = [job for other in mixed.prepared[number:] for job in other.jobs()]
        track = cell_runs.run_cells(config, jobs, mixed.plan, folder, "blend", terminal, WandbTracker, later=later)
    return track


def _findings(mixed: MultiConfigExperiment, result: Result, command: str, terminal: Terminal) -> BlendComparison:
    """Score every method, and what each member contributes to the blend."""
    config, rows = mixed.config.blend, result.rows
    decision, known = result.comparison, {member.label: member for member in mixed.members}
    tried = [] if decision is None else list(decision.methods)
    names = [name for name in FITS if name not in {each.method for each in tried}]
    with terminal.bar("methods", "scored") as update:
        for number, each in enumerate(methods.score_methods(config, rows, names)):
            tried.append(each)
            update(number + 1, len(names))
    compared = methods.compare_methods(config, rows, tried)
    with terminal.bar("members", "timed") as update:
        seconds = []
        for number, label in enumerate(rows.labels):
            seconds.append(member_contributions.cost(known[label], mixed.store_of(known[label])))
            update(number + 1, len(rows.labels))
    with terminal.bar("members", "left out"):
        plain = next(each.nested for each in compared.methods if each.method == result.blend.method)
        contributions = member_contributions.contributions(config, rows, result.blend, plain, seconds)
    return BlendComparison(
        mixed.config, result, compared, tuple(contributions), member_contributions.correlation(rows), command
    )


def _write(mixed: MultiConfigExperiment, folder: Path, found: BlendComparison, latest: bool) -> None:
    """Write tables, record and page."""
    config, competition, result = mixed.config, mixed.competition, found.result
    stored_experiment.write(
        *(folder, config, mixed.config_plans, mixed.outside_members, result),
        *(competition, result.expected),
        latest=latest,
    )
    artefacts.write_json(folder / "blend.json", without_nan(found.to_json()))
    files.write_text(folder / "blend.html", blend_page.page(found))


def _report_data(
    mixed: MultiConfigExperiment, found: BlendComparison, exact: ExactTables, ranked: RankedTables
) -> ReportData:
    """Gather what the report of the blended experiment shows."""
    return ReportData(
        config=mixed.config,
        plan=mixed.plan,
        members=mixed.members,
        result=found.result,
        train=found.result.counted(mixed.train),
        competition=mixed.competition,
        exact=exact,
        ranked=ranked,
        provenance=Provenance.here(found.command),
    )
