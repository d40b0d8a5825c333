"""The cells of a plan are run: with progress bars, tracking and the executor of the config, where the disk has room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from foldline.core import files
from foldline.core.console import Terminal
from foldline.data import open_rows, store
from foldline.data.channel_files import WIDTH
from foldline.data.metrics import metric
from foldline.experiment.config import Config
from foldline.run import executors, progress_writer
from foldline.run.cells import Cell, Job
from foldline.run.predictions import held_out_score
from foldline.run.progress import cell_bars
from foldline.run.progress_writer import ProgressWriter
from foldline.run.tracker import OpenTracker, TrackConfig

NOTHING_TO_TRAIN = "all cells are finished: nothing to train"


def run_cells(
    config: Config,
    jobs: Sequence[Job],
    plan: Iterable[Cell],
    folder: Path,
    verb: str,
    terminal: Terminal,
    open_tracker: OpenTracker,
    *,
    later: Sequence[Job] = (),
) -> TrackConfig:
    """Run the cells that have something left to do; progress bars, `live` and the tracker receive their events.

    Args:
        jobs: one whose cell needs another's begins when that is done.
        plan: all cells, those that are finished too: what `live` shows.
        folder: of the experiment, where the tracker writes.
        verb: the command that runs them.
        open_tracker: opens wandb, or whatever else tracks.
        later: what another call will run for the same experiment: shown as waiting.

    Returns:
        [track] for what is tracked after the cells, such as the summary: where wandb could not start (no network, no
        key), its mode is changed so that it is not tried again.

    Raises:
        UserError: too little space on the disk, or a cell failed.
    """
    if not jobs:
        terminal.say(NOTHING_TO_TRAIN)
        return config.track
    files.require_space(predicted_bytes(jobs), "storing the cells' predictions")
    with (
        executors.opened(config.executor),
        open_tracker(config.track, config.name, folder, verb) as tracker,
        cell_bars(terminal, jobs) as bars,
        _progress_file(config, jobs, later, plan, folder, verb, terminal) as written,
    ):

        def on_event(job: Job, kind: str, values: dict[str, Any]) -> None:
            if kind == "done" and job.train is not None:
                held_out = _held_out(config, job.cell, job.train)
                values = {**values, "metric": config.data.metric, "held_out": held_out}
            tracker.event(job.cell, kind, values)
            bars.event(job, kind, values)
            written.event(job, kind, values)

        executors.execute(jobs, config.executor, on_event)
    terminal.will_say(NOTHING_TO_TRAIN)
    if tracker.trouble:
        terminal.warn(tracker.trouble, again=False)
    return replace(config.track, wandb=tracker.mode)


def _held_out(config: Config, cell: Cell, train: Path) -> float | None:
    """Score a finished cell on the series it held out. train: a store that has them."""
    data = store.open_store(train)
    return held_out_score(cell, data, metric(*data.metric_choice(config.data)))


def _progress_file(
    config: Config,
    waiting: Sequence[Job],
    later: Sequence[Job],
    plan: Iterable[Cell],
    folder: Path,
    verb: str,
    terminal: Terminal,
) -> ProgressWriter:
    """Make what keeps progress.json of a run up to date."""
    tables = (job.train for job in waiting if job.cell.pretraining_store is None)
    train = next((path for path in tables if path is not None), None)
    at_a_time = executors.workers_for(waiting, config.executor) * config.executor.together
    data = config.data
    run = progress_writer.run_of(config.name, verb, folder, data.metric, data.kind, min(at_a_time, len(waiting)))
    cells = progress_writer.cells_of(
        plan, [*waiting, *later], lambda cell: None if train is None else _held_out(config, cell, train)
    )
    return ProgressWriter(run, cells, terminal.warn)


def predicted_bytes(jobs: Sequence[Job]) -> int:
    """Compute the bytes of the predictions, and of the channels, that cells will store."""
    tables = [store.open_store(path) for job in jobs[:1] for path in (job.train, job.test) if path is not None]
    estimators = sum(job.cell.model.fitted_as == "estimator" for job in jobs)
    first = [job for job in jobs if job.cell.pretraining_store is not None]
    others = {(job.train, job.cell.channels.key) for job in first if job.train and job.cell.channels}
    a_row = 8 * WIDTH + 4 * len(open_rows.names()) if estimators or others else 0
    pretraining = sum(len(store.open_store(path).y) for path, _ in others)
    predictions = 8 * sum(table.y.size for table in tables) * len(jobs)  # float64; all jobs have the same tables
    return predictions + a_row * (sum(len(table.y) for table in tables) * estimators + pretraining)
