"""`train`: from the competition's files to a checked submission, step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

import numpy as np

from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.durations import duration
from foldline.data import loading
from foldline.experiment import config as configs
from foldline.experiment import preparation, scoring, stored_experiment
from foldline.experiment.config_plans import ConfigPlan
from foldline.experiment.preparation import PreparedExperiment, short_path
from foldline.experiment.scoring import Result
from foldline.output import report, submission
from foldline.output.report import ExactTables, Provenance, ReportData
from foldline.output.tracking import WandbTracker
from foldline.run import estimate
from foldline.run.cells import Job


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Train what is not trained, blend, post-process, gate, record, report."""
    config, dry = configs.load(Path(arguments.config), arguments.overrides), "--dry-run" in arguments.flags
    seconds: dict[str, float] = {}
    with _timed(seconds, "data, features, plan"):
        with terminal.bar("reading", "MB") as update:
            competition = loading.load(config.data, update)
        submission.rehearse(competition.test)
        prepared = preparation.prepare(config, terminal, dry, competition)
    preparation.print_summary(prepared, terminal)
    stages = prepared.jobs("--force" in arguments.flags)
    if dry:
        _dry_run(prepared, stages, terminal)
        return 0
    with _timed(seconds, "decoding"):
        exact = preparation.exact_tables(config, prepared.competition, terminal)
    folder = stored_experiment.folder_of(config, prepared.plan, prepared.test.fingerprint, prepared.outside_members)
    track = preparation.run_cells(config, stages, folder, "train", terminal, WandbTracker)
    with _timed(seconds, "blending"), terminal.bar("blend and baselines", "scored"):
        table = prepared.competition.train
        result = scoring.combine(config, prepared.members, prepared.train, prepared.folds, exact[0], table)
        used = (result.blend, result.grids, config.post, prepared.members)
        predictions = scoring.predict(*used, prepared.test, exact[1], result.decisions, result.tidied)
    _record(folder, prepared, result)
    report_data = _report_data(prepared, result, exact, Provenance.here(arguments.command_line, seconds))
    changed = any(stages) or not (folder / "report.html").exists()
    with terminal.bar("report", "pages"):
        page = report.write(folder, report_data)
    terminal.table("", *result.table(config.data))
    if result.models_alone is not None:
        terminal.say(
            f"{config.data.metric} {result.score:.4f} with exact rows in place; the models alone reach "
            f"{result.models_alone:.4f}"
        )
    if result.lost:
        terminal.warn(result.warning(config.data))
    terminal.say(f"report: {short_path(page)}")
    if len(result.targets) > scoring.MOST_TARGETS:
        terminal.say(f"scores of all targets: {short_path(page.with_name(report.TARGETS_FILE))}")
    path = _publish(folder, prepared, result, predictions)
    if changed:
        tracker = WandbTracker(track, config.name, folder, "train")
        report.track(tracker, report_data, {"submission": path, "folds": prepared.folds.path}, terminal)
    answer = {
        "submission": str(path),
        "report": str(page),
        "score": result.score,
        "models_alone": result.models_alone,
        "scores": result.scores,
        "by_target": result.by_target,
        "baselines": result.baselines,
        "lost_to_baseline": result.lost,
        "experiment": folder.name,
    }
    terminal.result(answer, f"submission: {short_path(path)}")
    return 0


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Measure how long a step of the run takes, s."""
    began = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - began


def _record(folder: Path, prepared: PreparedExperiment, result: Result) -> None:
    parts = [ConfigPlan(prepared.config, prepared.plan)]
    stored_experiment.write(
        folder, prepared.config, parts, prepared.outside_members, result, prepared.competition, result.expected
    )


def _report_data(
    prepared: PreparedExperiment, result: Result, exact: ExactTables, provenance: Provenance
) -> ReportData:
    return ReportData(
        config=prepared.config,
        plan=prepared.plan,
        members=prepared.members,
        result=result,
        train=result.counted(prepared.train),
        competition=prepared.competition,
        exact=exact,
        provenance=provenance,
    )


def _publish(folder: Path, prepared: PreparedExperiment, result: Result, predictions: np.ndarray) -> Path:
    """Write the submission and check it at the gate. predictions: (rows, K) of the test table."""
    config, competition = prepared.config, prepared.competition
    tested, test = competition.test, prepared.test.fingerprint
    table = submission.build(tested, predictions, competition.sample)
    origin = stored_experiment.origin(config, prepared.plan, folder, test, result.score)
    draft, check_range = folder / "submission.csv", config.post.check_range
    return submission.publish(tested, origin, draft, table, competition.sample, result.expected, check_range)


def _dry_run(prepared: PreparedExperiment, stages: list[list[Job]], terminal: Terminal) -> None:
    """Show what is left to do, and how long it would take on this machine."""
    waiting = [job for stage in stages for job in stage]
    if not waiting:
        terminal.result({"to_train": 0, "seconds": 0.0, "bytes": 0}, "dry run: nothing is left to train")
        return
    with terminal.bar("measuring a few steps", "models"):
        found = estimate.estimate(stages, prepared.config.executor)
    if not found:
        last = f"dry run: nothing is left to train, {len(waiting)} cells have yet to predict the test series"
        terminal.result({"to_train": 0, "seconds": 0.0, "bytes": prepared.disk_bytes(waiting)}, last)
        return
    columns = ["", "cells", "epochs", "s a cell", "at a time", "all"]
    rows = [
        [name, str(cells), str(epochs or "-"), f"{cell_s:.1f}", str(workers), duration(total_s)]
        for name, cells, epochs, cell_s, workers, total_s in map(astuple, found)
    ]
    terminal.table("estimated from a few steps on this machine", columns, rows)
    seconds, space = sum(each.total_s for each in found), prepared.disk_bytes(waiting)
    terminal.result(
        {"to_train": sum(each.cells for each in found), "seconds": seconds, "bytes": space},
        f"dry run: nothing was trained; it would take about {duration(seconds)} and {space / 2**20:,.0f} MiB of disk",
    )
