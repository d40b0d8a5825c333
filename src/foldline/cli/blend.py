"""`blend`: compare all methods to blend the models of one or several configs, and submit the simplest good one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from foldline.blend import methods
from foldline.blend.methods import FITS
from foldline.cli.main import Arguments
from foldline.core import artefacts, files
from foldline.core.console import Terminal
from foldline.evidence.blending import blend_page, member_contributions
from foldline.evidence.blending.blend_comparison import BlendComparison
from foldline.experiment import config as configs
from foldline.experiment import multi_config, preparation, scoring, stored_experiment
from foldline.experiment.multi_config import MultiConfigExperiment
from foldline.experiment.preparation import short_path
from foldline.experiment.scoring import Result
from foldline.output import report, submission
from foldline.output.report import ExactTables, Provenance, ReportData
from foldline.output.tracking import TrackConfig, WandbTracker

OUTSIDE = "outside."  # prefix that --outside NAME=... has among the overrides


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Train what is not trained, weigh, compare, record, gate."""
    overrides = [text for text in arguments.overrides if not text.startswith(OUTSIDE)]
    outside = [text.removeprefix(OUTSIDE) for text in arguments.overrides if text.startswith(OUTSIDE)]
    dry = "--dry-run" in arguments.flags
    chosen = [configs.load(Path(word), overrides) for word in arguments.words or ["quickstart"]]
    mixed = multi_config.prepare(chosen, outside, terminal, dry)
    submission.rehearse(mixed.competition.test)
    for prepared in mixed.prepared:
        preparation.print_summary(prepared, terminal)
    if dry:
        return _dry_run(mixed, terminal)
    exact = preparation.exact_tables(mixed.config, mixed.competition, terminal)
    changed = not (mixed.folder / "blend.html").exists() or any(any(each.jobs()) for each in mixed.prepared)
    track = _train(mixed, terminal)
    with terminal.bar("weighing", "nested"):
        table = mixed.competition.train
        result = scoring.combine(mixed.config, mixed.members, mixed.train, mixed.folds, exact[0], table)
    command = arguments.command_line
    found = _findings(mixed, result, command, terminal)
    post = mixed.config.post
    used = (result.blend, result.grids, post, mixed.members)
    predictions = scoring.predict(*used, mixed.test, exact[1], result.decisions, result.tidied)
    path, report_data = _write(mixed, found, predictions, terminal), _report_data(mixed, found, exact)
    with terminal.bar("report", "pages"):
        written = report.write(mixed.folder, report_data)
    terminal.say(f"report: {short_path(written)}")
    if changed:
        _track(mixed, report_data, WandbTracker(track, mixed.config.name, mixed.folder, "blend"), path, terminal)
    answer: dict[str, Any] = {
        "submission": str(path),
        "page": str(mixed.folder / "blend.html"),
        "report": str(written),
        "experiment": mixed.folder.name,
    }
    terminal.result(answer | found.to_json(), f"submission: {short_path(path)}")
    return 0


def _train(mixed: MultiConfigExperiment, terminal: Terminal) -> TrackConfig:
    """Train what is not trained yet. In wandb all cells are in one group, the blend's, and follow its [track].

    Returns [track] for the summary, as `run_cells` does.
    """
    track = mixed.config.track
    for prepared in mixed.prepared:
        config = replace(prepared.config, name=mixed.config.name, track=track)
        track = preparation.run_cells(config, prepared.jobs(), mixed.folder, "blend", terminal, WandbTracker)
    return track


def _dry_run(mixed: MultiConfigExperiment, terminal: Terminal) -> int:
    keys = {job.key for prepared in mixed.prepared for stage in prepared.jobs() for job in stage}
    labels = [member.label for member in mixed.members]
    last = f"dry run: {len(keys)} cells are left to train or to predict, and then {len(labels)} members to blend"
    terminal.result({"to_train": len(keys), "members": labels}, last)
    return 0


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


def _write(mixed: MultiConfigExperiment, found: BlendComparison, predictions: np.ndarray, terminal: Terminal) -> Path:
    """Write tables, record, page and submission, check it at the gate, and return its path."""
    config, competition, folder, result = mixed.config, mixed.competition, mixed.folder, found.result
    stored_experiment.write(
        *(folder, config, mixed.config_plans, mixed.outside_members, result),
        *(competition, result.expected),
    )
    artefacts.write_json(folder / "blend.json", found.to_json())
    files.write_text(folder / "blend.html", blend_page.page(found))
    for title, columns, rows in found.tables():
        terminal.table(title, columns, rows)
    if result.lost:
        terminal.warn(result.warning(config.data))
    for line in (f"blend: {found.verdict}", *found.remarks):
        terminal.say(line)
    terminal.say(f"page: {short_path(folder / 'blend.html')}")
    tested = competition.test
    table = submission.build(tested, predictions, competition.sample)
    origin = stored_experiment.origin(config, mixed.plan, folder, mixed.test.fingerprint, result.score)
    draft, check_range = folder / "submission.csv", config.post.check_range
    return submission.publish(tested, origin, draft, table, competition.sample, result.expected, check_range)


def _report_data(mixed: MultiConfigExperiment, found: BlendComparison, exact: ExactTables) -> ReportData:
    """Gather what the report of the blended experiment shows."""
    return ReportData(
        config=mixed.config,
        plan=mixed.plan,
        members=mixed.members,
        result=found.result,
        train=found.result.counted(mixed.train),
        competition=mixed.competition,
        exact=exact,
        provenance=Provenance.here(found.command),
    )


def _track(
    mixed: MultiConfigExperiment, report_data: ReportData, tracker: WandbTracker, submission: Path, terminal: Terminal
) -> None:
    """Send the summary of the blend to the tracker, with its page."""
    artifacts = {"submission": submission, "folds": mixed.folds.path, "blend": mixed.folder / "blend.html"}
    report.track(tracker, report_data, artifacts, terminal)
