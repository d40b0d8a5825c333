"""What the verbs that train share: everything up to a plan of cells, and the map over them.

`prepare` checks and makes what cells need, in the order of cost, so that the user's mistakes show before any work;
`run_cells` trains what is not trained, with bars, tracking and the executor of the config.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from foldline.blend import members, outside_members
from foldline.blend.members import Member
from foldline.core import files
from foldline.core.console import Terminal
from foldline.data import exact_rows, featurize, folds, loading, store, target_grid
from foldline.data.exact_rows import Exact
from foldline.data.folds import Folds
from foldline.data.loading import Competition
from foldline.data.metrics import metric
from foldline.data.store import Store
from foldline.experiment import records
from foldline.experiment.config import Config
from foldline.fit import network_cell, pretraining
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.scaler import Scaler
from foldline.fit.training_state import CHECKPOINT
from foldline.run import executors, planning
from foldline.run.cells import Cell, Job, held_out_score
from foldline.run.planning import PlanInputs
from foldline.run.stored_cells import StoredCells
from foldline.run.progress import cell_bars
from foldline.run.tracking import OpenTracker, TrackConfig

SHOWN_KEYS = 4  # at most, of those in which a cell differs from another one


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An experiment whose cells can be trained."""

    config: Config
    competition: Competition
    folds: Folds
    folds_made: bool  # just now, or not yet where it is a dry run
    train: Store
    test: Store
    given: PlanInputs
    plan: list[Cell]
    weights: dict[str, int]  # label of a network -> bytes of a cell's weights
    others: list[Member]  # from outside ([[blend.outside]])

    @property
    def members(self) -> list[Member]:
        """What the blend weighs: one a model, then those from outside."""
        return [*members.of_plan(self.plan), *self.others]

    def jobs(self, force: bool = False) -> list[list[Job]]:
        """What there is to train and to predict, in stages."""
        taught = exact_rows.path_of(self.competition.test) if self.given.exact else None
        return planning.jobs(self.plan, self.train.path, self.folds.assignment, self.test.path, taught, force)

    def space(self, jobs: Sequence[Job]) -> int:
        """What jobs will leave on the disk, about: bytes of predictions and of networks' weights."""
        return predicted_bytes(jobs) + sum(self.weights.get(job.cell.model.label, 0) for job in jobs)


def prepare(config: Config, terminal: Terminal, dry: bool = False, competition: Competition | None = None) -> Prepared:
    """Read and check the data, make folds, features and the plan.

    Args:
        dry: a fold file is not written.
        competition: the tables of this [data], where they have been read and checked before.

    Raises:
        UserError: whatever is wrong with config, data, folds, disk or members from outside.
    """
    competition = loading.load(config.data) if competition is None else competition
    assert competition.data == config.data, "the tables of one [data] are not those of another"
    for model in config.models:
        model.train.device_used  # noqa: B018  (refuses a device that is not there, before anything is made)
    featurize.check(competition.train, config.features, competition.levels)
    featurize.check(competition.test, config.features, competition.levels)
    dealt, made = folds.obtain(config.folds, config.name, competition.train, save=not dry)
    others = outside_members.load_all(config.blend.outside, competition, dealt, terminal)
    with terminal.bar("features", "series") as update:
        train = featurize.obtain(competition.train, config.features, competition.levels, update)
        test = featurize.obtain(competition.test, config.features, competition.levels, update)
    weights = _check_models(config, train)
    given = _given(config, competition, train, test, dealt, terminal)
    with terminal.bar("speed of each precision", "models") as update:
        models = planning.resolve_precision(config.models, train, update)
    prepared = Prepared(
        config=config,
        competition=competition,
        folds=dealt,
        folds_made=made,
        train=train,
        test=test,
        given=given,
        plan=planning.plan(given, models),
        weights=weights,
        others=others,
    )
    members.refuse_same_names(prepared.members)
    return prepared


def _check_models(config: Config, train: Store) -> dict[str, int]:
    """Refuse, before any training, models that can't be made for these series; label -> bytes of a cell's weights."""
    grids = target_grid.detect_grids(np.asarray(train.y[train.scored]))
    features, targets = len(train.names), len(grids)
    plain = Scaler(np.zeros(features), np.ones(features), np.zeros(targets), np.ones(targets), tuple(grids))
    made = {
        model.label: network_cell.network_of(model.name, model.params, train, plain)
        for model in config.models
        if not model.on_rows
    }
    return {label: sum(weight.nbytes for weight in network.state_dict().values()) for label, network in made.items()}


def _given(
    config: Config, competition: Competition, train: Store, test: Store, dealt: Folds, terminal: Terminal
) -> PlanInputs:
    """What the cells share; series to pre-train on are made when a cell asks for them."""
    learns = any(model.teacher is not None and model.teacher.exact for model in config.models)
    if learns:
        with terminal.bar("decoding", "series") as update:
            exact_rows.obtain(competition.test, update, "teacher.exact = true")

    made: dict[tuple[str, int, int, str, int | None], Store] = {}

    def pretraining_data(asked: PretrainConfig, fold: int | None) -> Store:
        what = (asked.source, asked.breaths, asked.seed, asked.calibrate, fold if asked.calibrate == "fold" else None)
        if what not in made:
            with terminal.bar("series to pre-train on", "series") as update:
                inside = np.flatnonzero(dealt.assignment != (-1 if fold is None else fold))
                made[what] = pretraining.pretraining_data(asked, config.features, competition, inside, update)
        return made[what]

    known = exact_rows.path_of(competition.test).stem if learns else ""
    return PlanInputs(config.data, config.features, train, dealt, test.fingerprint, known, pretraining_data)


def decoded(config: Config, competition: Competition, terminal: Terminal) -> tuple[Exact | None, Exact | None]:
    """Exact rows of the train and test tables, where post.decode asks for them."""
    if not config.post.decode:
        return None, None
    with terminal.bar("decoding", "series") as update:
        found = (exact_rows.obtain(competition.train, update), exact_rows.obtain(competition.test, update))
    for doubt in (known.doubt for known in found if known.doubt):
        terminal.warn(f"{doubt}; exact decoding needs the printed digits, so less can be proven.")
    return found


def run_cells(
    config: Config,
    stages: Sequence[Sequence[Job]],
    folder: Path,
    verb: str,
    terminal: Terminal,
    open_tracker: OpenTracker,
) -> TrackConfig:
    """Run the cells that have something left to do, their events going to the bars and to wandb.

    Returns [track] for what is still to be told: a wandb that could not start is not tried again.
    """
    waiting = [job for stage in stages for job in stage]
    if not waiting:
        terminal.say("all cells are finished: nothing to train")
        return config.track
    files.require_space(predicted_bytes(waiting), "storing the cells' predictions")
    name = config.data.metric
    with open_tracker(config.track, config.name, folder, verb) as tracker, cell_bars(terminal, waiting) as bars:

        def on_event(job: Job, kind: str, values: dict[str, Any]) -> None:
            if kind == "done" and job.train is not None:
                score = held_out_score(job.cell, store.open_store(job.train), metric(name))
                values = {**values, "metric": name, "held_out": score}
            tracker.event(job.cell, kind, values)
            bars.event(job, kind, values)

        for stage in stages:
            executors.execute(stage, config.executor, on_event)
    if tracker.trouble:
        terminal.warn(tracker.trouble)
    return replace(config.track, wandb=tracker.mode)


def predicted_bytes(jobs: Sequence[Job]) -> int:
    """What the cells' predictions will take: bytes."""
    tables = [store.open_store(path) for job in jobs[:1] for path in (job.train, job.test) if path is not None]
    return 8 * sum(table.y.size for table in tables) * len(jobs)  # float64


def summary(prepared: Prepared, terminal: Terminal) -> None:
    """What is about to happen, before it does."""
    config, dealt, plan = prepared.config, prepared.folds, prepared.plan
    source = "simulated" if config.data.simulated else config.data.source
    known, asked = len(prepared.train.lengths), len(prepared.test.lengths)
    features = len(prepared.train.names)
    terminal.say(f"{config.name}: {source}, {known} series to learn from, {asked} to predict, {features} features")
    made = "made just now" if dealt.path.exists() else "to be made"
    just_now = f", {made}" if prepared.folds_made else ""
    terminal.say(f"folds: {shown(dealt.path)} ({dealt.k} {config.folds.kind} folds{just_now})")
    competition = prepared.competition
    loading.tell(competition.test, competition.sample, competition.levels, terminal)
    waiting = [cell for cell in plan if not cell.done]
    begun = sum((cell.folder / CHECKPOINT).exists() for cell in waiting)
    going_on = f", {begun} of them begun: from the last checkpoint on" if begun else ""
    terminal.say(f"cells: {len(plan)}, {len(plan) - len(waiting)} finished, {len(waiting)} to train{going_on}")
    for line in _reasons(waiting):
        terminal.say(f"  {line}")


def _reasons(waiting: Sequence[Cell]) -> list[str]:
    """One line for each way in which cells differ from the nearest finished ones."""
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


def shown(path: Path) -> Path:
    """Relative to the caller's folder where it lies below it; `latest` instead of a hash where that is the same."""
    here = Path.cwd()
    if records.is_latest(path.parent):
        path = path.parent.with_name("latest") / path.name
    return path.relative_to(here) if path.is_relative_to(here) else path
