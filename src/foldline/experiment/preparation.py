"""What the verbs that train share before any cell is trained: everything up to a plan of cells.

`prepare` checks and makes what cells need, cheap steps first, so that the user's mistakes show before any work.
plan_summary.py says what comes of it, cell_runs.py runs the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foldline.core.console import Terminal
from foldline.data import exact_rows, featurize, folds, loading, open_rows
from foldline.data.folds import Folds
from foldline.data.loading import Competition
from foldline.data.store import Store
from foldline.ensemble import members, outside_members, series_aggregates
from foldline.ensemble.members import Member
from foldline.experiment import cell_runs, lookahead, network_checks, target_checks
from foldline.experiment.config import Config
from foldline.fit import (
    boosting_checks,
    horizon_checks,
    pair_checks,
    patches,
    pretraining,
    series_cell,
    target_transform,
)
from foldline.fit.pretraining import PretrainConfig
from foldline.run import executors, planning
from foldline.run.cells import Cell, Job
from foldline.run.plan_inputs import PlanInputs


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
        return cell_runs.predicted_bytes(jobs) + sum(self.weights.get(job.cell.model.label, 0) for job in jobs)


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
    _check_packages(config)
    if competition is None:
        with terminal.bar("reading", "MB") as update:
            competition = loading.load(config.data, update)
    assert competition.data == config.data, "the tables of one [data] are not those of another"
    _check_devices(config)
    network_checks.check_durations(config, competition.train)
    _check_features(config, competition)
    made_folds, newly_made = folds.obtain(config.folds, config.name, competition.train, save=False)
    target_checks.refuse_no_weight(competition.train, made_folds)
    _check_folds_of_trees(config, competition, made_folds)
    from_outside = outside_members.load_all(config.blend.outside, competition, made_folds, terminal)
    train, test = _stores(config, competition, made_folds, terminal)
    _check_targets(config, competition, train, test)
    target_checks.check(config, competition.train, train, made_folds, terminal)
    weights = _check_models(config, competition, train, test)
    _make_open_rows(config, competition, terminal)
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


def _check_packages(config: Config) -> None:
    """Refuse an executor and libraries of boosted trees that are not installed, or can't do what is asked for."""
    executors.check(config.executor)
    for model in config.models:
        if model.fitted_as == "rows":
            boosting_checks.check_library(model.label, model.name, model.params, model.watched_share > 0)


def _check_devices(config: Config) -> None:
    """Refuse a device that is not there, before anything is made."""
    for model in config.models:
        model.train.device_used  # noqa: B018  (it refuses)
        for recipe in model.trainings if model.is_network else ():
            recipe.refuse_device()


def _check_features(config: Config, competition: Competition) -> None:
    """Refuse features that the tables' columns don't make, also as aggregates that a blend takes of them."""
    train, levels = competition.train, competition.levels
    featurize.check(train, config.features, levels)
    featurize.check(competition.test, config.features, levels)
    columns = featurize.columns_of(train, levels)
    named = featurize.names_of(featurize.families_of(train, config.features), columns)
    series_aggregates.places(named, config.blend.aggregates)


def _check_folds_of_trees(config: Config, competition: Competition, made_folds: Folds) -> None:
    """Refuse folds outside of which a library of boosted trees finds too little to be fitted on."""
    for model in config.models:
        if model.fitted_as == "rows":
            boosting_checks.check_folds(model.label, model.name, model.params, competition.train, made_folds)


def _stores(config: Config, competition: Competition, made_folds: Folds, terminal: Terminal) -> tuple[Store, Store]:
    """Make the features of the training table, whose series know what folds hold together, and of the test table."""
    with terminal.bar("features", "series") as update:
        train = featurize.obtain(competition.train, config.features, competition.levels, update)
        train = made_folds.with_units(train)
        test = featurize.obtain(competition.test, config.features, competition.levels, update)
    return train, test


def _check_targets(config: Config, competition: Competition, train: Store, test: Store) -> None:
    """Refuse a scale that targets can't be learned on, and patches that don't fit the series."""
    for store, table in ((train, competition.train), (test, competition.test)):
        target_transform.check(config.data.target_transform, store, table.path)
        for model in config.models:
            if model.is_network:
                patches.check_store(model.train.patches, store)


def _check_models(config: Config, competition: Competition, train: Store, test: Store) -> dict[str, int]:
    """Refuse models that can't be made for these series; return the bytes of each network's weights by its label."""
    weights, networks = network_checks.made(config, train)
    for model in config.models:
        for store in (train, test) if model.is_network else ():
            pair_checks.check_store(model.label, pair_checks.named(model.name, model.params), store)
            horizon_checks.check_store(model.label, model.params, store)
    if config.serve.by_step:
        lookahead.refuse(config, featurize.families_of(competition.train, config.features), networks, train)
    for model in config.models:
        if model.fitted_as == "series":
            series_cell.check(model.label, model.name, model.params, train)
    return weights


def _make_open_rows(config: Config, competition: Competition, terminal: Terminal) -> None:
    """Find the rows that a decoder leaves open, of both tables, where a model estimates them."""
    if any(model.fitted_as == "estimator" for model in config.models):
        with terminal.bar("open rows", "series") as update:
            for table in (competition.train, competition.test):
                open_rows.obtain(table, update)


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
