"""`train`: the whole way from files to a checked submission, as one line of steps."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np

from foldline import config as configs
from foldline import estimate, experiment, files, report, submit, workbench
from foldline.cells import Job
from foldline.cli import Arguments
from foldline.config import Config
from foldline.console import Terminal
from foldline.experiment import Result
from foldline.submit import Expected
from foldline.workbench import shown


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Train what is not trained, blend, post-process, gate, record, report."""
    config, dry = configs.load(Path(arguments.config), arguments.overrides), "--dry-run" in arguments.flags
    prepared = workbench.prepare(config, terminal, dry)
    plan, train, test, competition = prepared.plan, prepared.train, prepared.test, prepared.competition
    workbench.summary(prepared, terminal)
    waves = prepared.jobs("--force" in arguments.flags)
    if dry:
        _foretell(config, waves, terminal)
        return 0
    found = workbench.decoded(config, competition, terminal)
    folder = experiment.folder_of(config, plan, test.fingerprint)
    workbench.run_cells(config, waves, folder, "train", terminal)

    result = experiment.reduce(config, plan, train, prepared.folds, found[0])
    predictions = experiment.predict_test(result.blend, result.grids, plan, test, found[1])
    truth = np.asarray(train.y)[train.scored]
    tested = competition.test
    table = submit.build(config.data, tested.frame, predictions, competition.sample, tested.file_rows)
    expected = Expected.of(truth)
    experiment.record(folder, config, plan, result, competition.levels, expected)
    page = folder / "report.html"
    files.write_text(page, report.page(config, plan, result, train, competition, found, _command(arguments)))
    _scores(config, result, prepared.folds.k, terminal)
    terminal.say(f"report: {shown(folder.parent / 'latest' / page.name)}")
    origin = experiment.origin(config, plan, folder, test.fingerprint, result.score)
    path = submit.publish(config.data, origin, folder / "submission.csv", table, competition.sample, expected)
    answer = {"submission": str(path), "report": str(page), "scores": result.scores, "experiment": folder.name}
    terminal.result(answer, f"submission: {shown(path)}")
    return 0


def _foretell(config: Config, waves: list[list[Job]], terminal: Terminal) -> None:
    """--dry-run: what is left to do, and what it will take here."""
    waiting = [job for wave in waves for job in wave]
    if not waiting:
        terminal.result({"to_train": 0, "seconds": 0.0, "bytes": 0}, "dry run: nothing is left to train")
        return
    with terminal.bar("measuring a few steps", "models"):
        found = estimate.estimate(waves, config.executor)
    rows = [
        [each.label, str(each.cells), str(each.epochs), f"{each.epoch_s:.1f}", _duration(each.total_s)]
        for each in found
    ]
    terminal.table("estimated from a few steps on this machine", ["", "cells", "epochs", "s an epoch", "all"], rows)
    seconds, space = sum(each.total_s for each in found), workbench.predicted_bytes(waiting)
    terminal.result(
        {"to_train": sum(each.cells for each in found), "seconds": seconds, "bytes": space},
        f"dry run: nothing was trained; it would take about {_duration(seconds)} and {space / 2**30:.1f} GiB of disk",
    )


def _duration(seconds: float) -> str:
    """45 s, 12 min, 3.4 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _scores(config: Config, result: Result, k: int, terminal: Terminal) -> None:
    columns = [f"out-of-fold {config.data.metric}", *(f"fold {number}" for number in range(k)), "all rows"]
    terminal.table(
        "", columns, [[name, *(f"{value:.4f}" for value in values)] for name, values in result.scores.items()]
    )


def _command(arguments: Arguments) -> str:
    return shlex.join(["./run.sh", arguments.verb, *arguments.words, *arguments.overrides])
