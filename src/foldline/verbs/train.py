"""`train`: the whole way from files to a checked submission, as one line of steps."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

import numpy as np

from foldline import config as configs
from foldline import estimate, experiment, report, submit, workbench
from foldline.cells import Job
from foldline.cli import Arguments
from foldline.console import Terminal
from foldline.experiment import Result
from foldline.members import Part
from foldline.report import Evidence, Found, Made
from foldline.submit import Expected
from foldline.track import Tracker
from foldline.workbench import Prepared, shown


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Train what is not trained, blend, post-process, gate, record, report."""
    config, dry = configs.load(Path(arguments.config), arguments.overrides), "--dry-run" in arguments.flags
    seconds: dict[str, float] = {}
    with _timed(seconds, "data, features, plan"):
        prepared = workbench.prepare(config, terminal, dry)
    workbench.summary(prepared, terminal)
    waves = prepared.jobs("--force" in arguments.flags)
    if dry:
        _foretell(prepared, waves, terminal)
        return 0
    with _timed(seconds, "decoding"):
        found = workbench.decoded(config, prepared.competition, terminal)
    folder = experiment.folder_of(config, prepared.plan, prepared.test.fingerprint, prepared.others)
    track = workbench.run_cells(config, waves, folder, "train", terminal)
    with _timed(seconds, "blending"):
        result = experiment.combine(config, prepared.members, prepared.train, prepared.folds, found[0])
        predictions = experiment.predict(result.blend, result.grids, prepared.members, prepared.test, found[1])
    _record(folder, prepared, result)
    evidence = _evidence(prepared, result, found, Made.here(_command(arguments), seconds))
    news = any(waves) or not (folder / "report.html").exists()
    page = report.write(folder, evidence)
    terminal.table("", *result.table(config.data))
    terminal.say(f"report: {shown(page)}")
    path = _publish(folder, prepared, result, predictions)
    if news:
        tracker = Tracker(track, config.name, folder, "train")
        report.mirror(tracker, evidence, {"submission": path, "folds": prepared.folds.path}, terminal)
    answer = {
        "submission": str(path),
        "report": str(page),
        "scores": result.scores,
        "by_target": result.by_target,
        "experiment": folder.name,
    }
    terminal.result(answer, f"submission: {shown(path)}")
    return 0


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Note how long a step of the run takes, s."""
    began = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - began


def _record(folder: Path, prepared: Prepared, result: Result) -> None:
    parts, levels = [Part(prepared.config, prepared.plan)], prepared.competition.levels
    experiment.record(folder, prepared.config, parts, prepared.others, result, levels, Expected.of(result.rows.y))


def _evidence(prepared: Prepared, result: Result, found: Found, made: Made) -> Evidence:
    return Evidence(
        config=prepared.config,
        plan=prepared.plan,
        members=prepared.members,
        result=result,
        train=prepared.train,
        competition=prepared.competition,
        exact=found,
        made=made,
    )


def _publish(folder: Path, prepared: Prepared, result: Result, predictions: np.ndarray) -> Path:
    """The submission, through the gate. predictions: (rows, K) of the test table."""
    config, competition = prepared.config, prepared.competition
    tested, test = competition.test, prepared.test.fingerprint
    table = submit.build(config.data, tested.frame, predictions, competition.sample, tested.file_rows)
    origin = experiment.origin(config, prepared.plan, folder, test, result.score)
    expected = Expected.of(result.rows.y)
    return submit.publish(config.data, origin, folder / "submission.csv", table, competition.sample, expected)


def _foretell(prepared: Prepared, waves: list[list[Job]], terminal: Terminal) -> None:
    """--dry-run: what is left to do, and what it will take here."""
    waiting = [job for wave in waves for job in wave]
    if not waiting:
        terminal.result({"to_train": 0, "seconds": 0.0, "bytes": 0}, "dry run: nothing is left to train")
        return
    with terminal.bar("measuring a few steps", "models"):
        found = estimate.estimate(waves, prepared.config.executor)
    if not found:
        last = f"dry run: nothing is left to train, {len(waiting)} cells have yet to predict the test series"
        terminal.result({"to_train": 0, "seconds": 0.0, "bytes": prepared.space(waiting)}, last)
        return
    columns = ["", "cells", "epochs", "s a cell", "at a time", "all"]
    rows = [
        [name, str(cells), str(epochs or "-"), f"{cell_s:.1f}", str(workers), _duration(total_s)]
        for name, cells, epochs, cell_s, workers, total_s in map(astuple, found)
    ]
    terminal.table("estimated from a few steps on this machine", columns, rows)
    seconds, space = sum(each.total_s for each in found), prepared.space(waiting)
    terminal.result(
        {"to_train": sum(each.cells for each in found), "seconds": seconds, "bytes": space},
        f"dry run: nothing was trained; it would take about {_duration(seconds)} and {space / 2**20:,.0f} MiB of disk",
    )


def _duration(seconds: float) -> str:
    """45 s, 12 min, 3.4 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _command(arguments: Arguments) -> str:
    return shlex.join(["./run.sh", arguments.verb, *arguments.words, *arguments.overrides])
