"""What the verbs that train share: everything up to a plan of cells, and the training of these cells.

`prepare` checks and makes what cells need, cheap steps first, so that the user's mistakes show before any work;
`run_cells` trains what is not trained, with progress bars, tracking and the executor of the config.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foldline.core import files
from foldline.core.console import Terminal
from foldline.data import exact_rows, featurize, folds, loading, open_rows, store, table_notes
from foldline.data.channel_files import WIDTH
from foldline.data.folds import Folds
from foldline.data.loading import Competition
from foldline.data.metrics import metric
from foldline.data.store import Store
from foldline.ensemble import members, outside_members, series_aggregates
from foldline.ensemble.members import Member
from foldline.experiment import lookahead, network_checks, runs_index, target_checks
from foldline.experiment.config import Config
from foldline.fit import (
    boosting_checks,
    checkpoint,
    pair_checks,
    patches,
    pretraining,
    series_cell,
    target_transform,
)
from foldline.fit.pretraining import PretrainConfig
from foldline.run import executors, planning, progress_writer
from foldline.run.cells import Cell, Job
from foldline.run.plan_inputs import PlanInputs
from foldline.run.predictions import held_out_score
from foldline.run.progress import cell_bars
from foldline.run.progress_writer import ProgressWriter
from foldline.run.stored_cells import StoredCells
from foldline.run.tracker import OpenTracker, TrackConfig

NOTHING_TO_TRAIN = "all cells are finished: nothing to train"
SHOWN_KEYS = 4  # at most, of those in which a cell differs from another one


@dataclass(frozen=True, kw_only=True)
class PreparedExperiment:
    """An experiment whose cells can be trained: checked data, folds, features, and the plan."""

    config: Config
    competition: Competition
    folds: Folds
    folds_made: bool  # by this call (by a dry run: they would be)
    train: Store
    test: Store
    plan_inputs: PlanInputs  # what the cells of the plan share
    plan: list[Cell]
    weights: dict[str, int]  # label of a network -> bytes of a cell's weights
    outside_members: list[Member]  # of [[blend.outside]]

    @property
    def members(self) -> list[Member]:
        """Return the members of the blend: one a model, then those from outside."""
        return [*members.of_plan(self.plan), *self.outside_members]

    def jobs(self, force: bool = False) -> list[Job]:
        """List what there is to train and to predict, each behind those whose weights its cell needs.

        force: finished cells, too.
        """
        exact = exact_rows.path_of(self.competition.test) if self.plan_inputs.exact else None
        return planning.jobs(self.plan, self.train.path, self.folds, self.test.path, exact, force)

    def disk_bytes(self, jobs: Sequence[Job]) -> int:
        """Estimate the bytes that jobs leave on the disk: predictions and networks' weights."""
        return predicted_bytes(jobs) + sum(self.weights.get(job.cell.model.label, 0) for job in jobs)


def prepare(
    config: Config, terminal: Terminal, dry: bool = False, competition: Competition | None = None
) -> PreparedExperiment:
    """Read and check the data, make folds, features and the plan.

    A fold file is written last: a run that is refused must not leave one, made for data that is about to be corrected.

    Args:
        dry: do not write a fold file.
        competition: the tables of this [data], where they have been read and checked before.

    Raises:
        UserError: whatever is wrong with config, data, folds, disk or members from outside.
    """
    executors.check(config.executor)
    for model in config.models:
        if model.fitted_as == "rows":
            boosting_checks.check_library(model.label, model.name, model.params, model.watched_share > 0)
    if competition is None:
        with terminal.bar("reading", "MB") as update:
            competition = loading.load(config.data, update)
    assert competition.data == config.data, "the tables of one [data] are not those of another"
    for model in config.models:
        model.train.device_used  # noqa: B018  (refuses a device that is not there, before anything is made)
        for recipe in model.trainings if model.is_network else ():
            recipe.refuse_device()
    network_checks.check_durations(config, competition.train)
    featurize.check(competition.train, config.features, competition.levels)
    featurize.check(competition.test, config.features, competition.levels)
    made = featurize.columns_of(competition.train, competition.levels)
    named = featurize.names_of(featurize.families_of(competition.train, config.features), made)
    series_aggregates.places(named, config.blend.aggregates)
    made_folds, newly_made = folds.obtain(config.folds, config.name, competition.train, save=False)
    for model in config.models:
        if model.fitted_as == "rows":
            boosting_checks.check_folds(model.label, model.name, model.params, competition.train, made_folds)
    from_outside = outside_members.load_all(config.blend.outside, competition, made_folds, terminal)
    with terminal.bar("features", "series") as update:
        train = featurize.obtain(competition.train, config.features, competition.levels, update)
        train = made_folds.with_units(train)
        test = featurize.obtain(competition.test, config.features, competition.levels, update)
    for store_of, table in ((train, competition.train), (test, competition.test)):
        target_transform.check(config.data.target_transform, store_of, table.path)
        for model in (model for model in config.models if model.is_network):
            patches.check_store(model.train.patches, store_of)
    target_checks.check(config, competition.train, train, made_folds, terminal)
    weights, networks = network_checks.made(config, train)
    for model in (model for model in config.models if model.is_network):
        for store_of in (train, test):
            pair_checks.check_store(model.label, pair_checks.named(model.name, model.params), store_of)
    if config.serve.by_step:
        lookahead.refuse(config, featurize.families_of(competition.train, config.features), networks, train)
    for model in config.models:
        if model.fitted_as == "series":
            series_cell.check(model.label, model.name, model.params, train)
    if any(model.fitted_as == "estimator" for model in config.models):
        with terminal.bar("open rows", "series") as update:
            for table in (competition.train, competition.test):
                open_rows.obtain(table, update)
    plan_inputs = _plan_inputs(config, competition, train, test, made_folds, terminal)
    with terminal.bar("speed of each precision", "models") as update:
        models = planning.resolve_precision(config.models, train, update)
    prepared = PreparedExperiment(
        config=config,
        competition=competition,
        folds=made_folds,
        folds_made=newly_made,
        train=train,
        test=test,
        plan_inputs=plan_inputs,
        plan=planning.plan(plan_inputs, models),
        weights=weights,
        outside_members=from_outside,
    )
    members.refuse_same_names(prepared.members)
    if newly_made and not dry:
        folds.write(made_folds, config.folds, competition.train)
    return prepared


def _plan_inputs(
    config: Config, competition: Competition, train: Store, test: Store, made_folds: Folds, terminal: Terminal
) -> PlanInputs:
    """Gather what the cells share; series to pre-train on are made when a cell is planned that needs them."""
    with_exact = any(model.teacher is not None and model.teacher.exact for model in config.models)
    if with_exact:
        with terminal.bar("decoding", "series") as update:
            exact_rows.obtain(competition.test, update, "teacher.exact = true")

    made: dict[tuple[str, int, int, str, str, int | None], Store] = {}
    opens = any(model.channels_from and model.pretrain for model in config.models)

    def pretraining_data(table: PretrainConfig, fold: int | None) -> Store:
        """Make the series of a [pretrain] table for the cells of a fold; None: for a cell of all series."""
        # a simulator that is calibrated on a fold's training series makes other series in each fold
        calibrated_on = fold if table.calibrate == "fold" else None
        what = (table.source, table.breaths, table.seed, table.rig, table.calibrate, calibrated_on)
        if what not in made:
            with terminal.bar("series to pre-train on", "series") as update:
                inside = made_folds.inside(fold)
                made[what] = pretraining.pretraining_data(table, config.features, competition, inside, update, opens)
        return made[what]

    exact = exact_rows.path_of(competition.test).stem if with_exact else ""
    return PlanInputs(config.data, config.features, train, made_folds, test.fingerprint, exact, pretraining_data)


def run_cells(
    config: Config,
    jobs: Sequence[Job],
    plan: Iterable[Cell],
    folder: Path,
    verb: str,
    terminal: Terminal,
    open_tracker: OpenTracker,
) -> TrackConfig:
    """Run the cells that have something left to do; progress bars, `live` and the tracker receive their events.

    Args:
        jobs: one whose cell needs another's begins when that is done.
        plan: all cells, those that are finished too: what `live` shows.
        folder: of the experiment, where the tracker writes.
        verb: the command that runs them.
        open_tracker: opens wandb, or whatever else tracks.

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
        _progress_file(config, jobs, plan, folder, verb, terminal) as written,
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
    config: Config, waiting: Sequence[Job], plan: Iterable[Cell], folder: Path, verb: str, terminal: Terminal
) -> ProgressWriter:
    """Make what keeps progress.json of a run up to date."""
    tables = (job.train for job in waiting if job.cell.pretraining_store is None)
    train = next((path for path in tables if path is not None), None)
    at_a_time = executors.workers_for(waiting, config.executor) * config.executor.together
    data = config.data
    run = progress_writer.run_of(config.name, verb, folder, data.metric, data.kind, min(at_a_time, len(waiting)))
    cells = progress_writer.cells_of(
        plan, waiting, lambda cell: None if train is None else _held_out(config, cell, train)
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


def print_summary(prepared: PreparedExperiment, terminal: Terminal) -> None:
    """Print what a run is about to do: data, folds, cells, and why cells are trained."""
    config, chosen_folds, plan = prepared.config, prepared.folds, prepared.plan
    source = "simulated" if config.data.simulated else config.data.source
    labelled, unlabelled = len(prepared.train.lengths), len(prepared.test.lengths)
    features = len(prepared.train.names)
    counts = f"{labelled} series to learn from, {unlabelled} to predict, {features} features"
    terminal.say(f"{config.name}: {source}, {counts}")
    if config.default:
        terminal.say(f"models: {config.default}")
    made = "made just now" if chosen_folds.path.exists() else "to be made"
    just_now = f", {made}" if prepared.folds_made else ""
    kind = f"folds: {short_path(chosen_folds.path)} ({chosen_folds.k} {config.folds.kind} folds"
    terminal.say(f"{kind}{just_now})", later=f"{kind})")
    competition = prepared.competition
    table_notes.print_notes(competition.test, competition.sample, competition.levels, terminal, competition.train)
    waiting = [cell for cell in plan if not cell.done]
    paths = [cell.folder / checkpoint.CHECKPOINT for cell in waiting]
    begun = sum(path.exists() and not checkpoint.damage(path) for path in paths)
    resumed = f", {begun} of them begun: from the last checkpoint on" if begun else ""
    finished = f"{len(plan) - len(waiting)} finished, {len(waiting)} to train{resumed}"
    terminal.say(f"cells: {len(plan)}, {finished}", later=f"cells: {len(plan)}, {len(plan)} finished, 0 to train")
    for line in _reasons(waiting):
        terminal.say(f"  {line}", later="")


def _reasons(waiting: Sequence[Cell]) -> list[str]:
    """Say in what cells differ from the nearest finished ones: a line for each set of keys."""
    labels: dict[str, dict[str, None]] = {}
    if not waiting:
        return []
    stored = StoredCells()
    for cell in waiting:
        differing = stored.differing_keys(cell)
        more = f" and {len(differing) - SHOWN_KEYS} more" if len(differing) > SHOWN_KEYS else ""
        if differing:
            labels.setdefault(", ".join(differing[:SHOWN_KEYS]) + more, {})[cell.model.label] = None
    return [
        f"{', '.join(names)}: {'differ' if len(names) > 1 else 'differs'} from the nearest finished cell in {keys}"
        for keys, names in labels.items()
    ]


def short_path(path: Path) -> Path:
    """Shorten a path for messages: relative where it lies below the working folder, `latest` for the latest hash."""
    here = Path.cwd()
    if runs_index.is_latest(path.parent):
        path = path.parent.with_name("latest") / path.name
    return path.relative_to(here) if path.is_relative_to(here) else path
