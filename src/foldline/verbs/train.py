"""`train`: the whole way from files to a checked submission, as one line of steps."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np

from foldline import cells, exact, executors, experiment, files, folds, report, series, store, submit
from foldline import config as configs
from foldline.cells import Cell, Job
from foldline.cli import Arguments
from foldline.config import Config
from foldline.console import Terminal
from foldline.exact import Exact
from foldline.experiment import Result
from foldline.folds import Folds
from foldline.series import Competition
from foldline.store import Dense
from foldline.submit import Expected
from foldline.track import Tracker


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Train what is not trained, blend, post-process, gate, record, report."""
    config = configs.load(Path(arguments.config), arguments.overrides)
    competition = series.load(config.data)
    for model in config.models:
        model.train.device_used  # noqa: B018  (refuses a device that is not there, before anything is made)
    dry = "--dry-run" in arguments.flags
    store.check(competition.train, config.features, competition.levels)
    store.check(competition.test, config.features, competition.levels)
    dealt, made = folds.obtain(config.folds, config.name, competition.train, save=not dry)
    train, test = _stores(config, competition, terminal)
    plan = cells.plan(config.data, config.features, list(config.models), train, dealt)
    _summary(config, competition, train, dealt, made, plan, terminal)
    if dry:
        terminal.result(
            {"cells": len(plan), "to_train": sum(not cell.done for cell in plan)}, "dry run: nothing was trained"
        )
        return 0
    found = _decoded(config, competition, terminal)
    folder = experiment.folder_of(config, plan, test.fingerprint)
    force = "--force" in arguments.flags
    jobs = [Job(cell, train.path, dealt.assignment, test.path, force) for cell in plan]
    _map(config, jobs, folder, "train", terminal)

    result = experiment.reduce(config, plan, train, dealt, found[0])
    predictions = experiment.predict_test(result.blend, result.grids, plan, test, found[1])
    truth = np.asarray(train.y)[train.scored]
    tested = competition.test
    table = submit.build(config.data, tested.frame, predictions, competition.sample, tested.file_rows)
    expected = Expected.of(truth)
    experiment.record(folder, config, plan, result, competition.levels, expected)
    page = folder / "report.html"
    files.write_text(page, report.page(config, plan, result, train, competition, found, _command(arguments)))
    _scores(config, result, dealt.k, terminal)
    terminal.say(f"report: {_shown(folder.parent / 'latest' / page.name)}")
    origin = experiment.origin(config, plan, folder, test.fingerprint, result.score)
    path = submit.publish(config.data, origin, folder / "submission.csv", table, competition.sample, expected)
    answer = {"submission": str(path), "report": str(page), "scores": result.scores, "experiment": folder.name}
    terminal.result(answer, f"submission: {_shown(path)}")
    return 0


def _stores(config: Config, competition: Competition, terminal: Terminal) -> tuple[Dense, Dense]:
    """The dense stores of the train and test tables."""
    with terminal.bar("features", "series") as update:
        return (
            store.obtain(competition.train, config.features, competition.levels, update),
            store.obtain(competition.test, config.features, competition.levels, update),
        )


def _decoded(config: Config, competition: Competition, terminal: Terminal) -> tuple[Exact | None, Exact | None]:
    """Exact rows of the train and test tables, where post.decode asks for them."""
    if not config.post.decode:
        return None, None
    with terminal.bar("decoding", "series") as update:
        found = (exact.obtain(competition.train, update), exact.obtain(competition.test, update))
    for doubt in (known.doubt for known in found if known.doubt):
        terminal.warn(f"{doubt}; exact decoding needs the printed digits, so less can be proven.")
    return found


def _map(config: Config, jobs: list[Job], folder: Path, verb: str, terminal: Terminal) -> None:
    """Run the cells that have something left to do, their events going to the bars and to wandb."""
    waiting = list({job.key: job for job in jobs if not job.finished}.values())  # equal tables share their cells
    if not waiting:
        terminal.say("all cells are finished: nothing to train")
        return
    files.need_space(_predicted_bytes(waiting), "storing the cells' predictions")
    with Tracker(config.track, config.name, folder, verb) as tracker, terminal.cells(waiting) as bars:

        def on_event(job: Job, kind: str, values: dict[str, Any]) -> None:
            tracker.event(job.cell, kind, values)
            bars.event(job, kind, values)

        executors.execute(waiting, config.executor, on_event)
    if tracker.trouble:
        terminal.warn(tracker.trouble)


def _predicted_bytes(jobs: list[Job]) -> int:
    """What the cells still have to write, predictions above all: bytes."""
    tables = [store.open_store(path) for job in jobs[:1] for path in (job.train, job.test) if path is not None]
    targets = max(dense.y.shape[2] for dense in tables if dense.y is not None)
    values = sum(dense.x.shape[0] * dense.x.shape[1] for dense in tables) * targets
    return 8 * int(values) * len(jobs)


def _summary(
    config: Config,
    competition: Competition,
    train: Dense,
    dealt: Folds,
    made: bool,
    plan: list[Cell],
    terminal: Terminal,
) -> None:
    """What is about to happen, before it does."""
    source = "simulated" if config.data.simulated else config.data.source
    known, asked = len(train.lengths), len(competition.test.lengths)
    terminal.say(
        f"{config.name}: {source}, {known} series to learn from, {asked} to predict, {len(train.names)} features"
    )
    terminal.say(
        f"folds: {_shown(dealt.path)} ({dealt.k} {config.folds.kind} folds{', made just now' if made else ''})"
    )
    waiting = [cell for cell in plan if not cell.done]
    terminal.say(f"cells: {len(plan)}, {len(plan) - len(waiting)} finished, {len(waiting)} to train")
    for reason in dict.fromkeys(_why(cell) for cell in waiting):
        if reason:
            terminal.say(f"  {reason}")


def _why(cell: Cell) -> str:
    """One line: in what the cell differs from the nearest finished one; empty where there is none."""
    differing = cells.why(cell)
    more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
    return (
        f"{cell.model.label}: differs from the nearest finished cell in {', '.join(differing[:4])}{more}"
        if differing
        else ""
    )


def _scores(config: Config, result: Result, k: int, terminal: Terminal) -> None:
    columns = [f"out-of-fold {config.data.metric}", *(f"fold {number}" for number in range(k)), "all rows"]
    terminal.table(
        "", columns, [[name, *(f"{value:.4f}" for value in values)] for name, values in result.scores.items()]
    )


def _command(arguments: Arguments) -> str:
    return shlex.join(["./run.sh", arguments.verb, *arguments.words, *arguments.overrides])


def _shown(path: Path) -> Path:
    """Relative to the caller's folder where it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
