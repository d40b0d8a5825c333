"""From a config to cells, from cells to jobs: what there is to train, what its weights depend on, in what order.

A cell's key is the hash of its `depends`; everything that can change its weights stands there, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from foldline.core.errors import UserError
from foldline.data.folds import Folds
from foldline.data.store import Store
from foldline.fit import datasets, patches, precision, process_state, step_time
from foldline.fit.augmentation.views import TtaConfig
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.sample_config import SampleConfig
from foldline.fit.train_config import WatchConfig
from foldline.run import cell_keys, cell_stores, teachers
from foldline.run.cells import Cell, Job, ModelConfig, engine_of
from foldline.run.plan_inputs import PlanInputs


def resolve_precision(
    config: Sequence[ModelConfig], store: Store, update: Callable[[int, int], None] = lambda done, of: None
) -> list[ModelConfig]:
    """Replace `train.precision = "auto"` by the precision that this machine uses; call update(models done, of)."""
    resolved = []
    process_state.before_gpu(train for model in config if model.is_network for train in model.trainings)
    for number, model in enumerate(config):
        update(number, len(config))
        resolved.append(_with_precision(model, cell_stores.planned(model, store)))
    return resolved


def plan(inputs: PlanInputs, config: Sequence[ModelConfig]) -> list[Cell]:
    """List the cells of an experiment: models x (folds x seeds, and full ones), each with those it needs first."""
    made: list[Cell] = []
    for model in resolve_precision(config, inputs.train):
        places: list[tuple[int | None, int]] = [
            (fold, seed) for seed in model.train.seeds for fold in range(inputs.folds.k)
        ]
        places += [(None, seed) for seed in model.train.full_seeds]
        own: list[Cell] = []
        for number, of_round in teachers.rounds(model):
            own = [replace(_cell(inputs, of_round, fold, seed, made, own), round=number) for fold, seed in places]
        made += own
    return made


def _with_precision(model: ModelConfig, store: Store) -> ModelConfig:
    if not model.is_network:
        return model
    model.train.refuse_device()
    if model.train.precision != "auto":
        return model
    what = {"model": model.name, "params": model.params, "batch": model.train.batch, "micro": model.train.micro}
    what |= {
        "steps": datasets.steps_in_training(model.train, store),
        "features": store.channels,
        "engine": engine_of(model),
        **({"graphs": True} if model.train.graphs else {}),  # else as older versions have stored it
    }
    train = precision.resolve(
        model.train, what, lambda config: step_time.seconds_a_step(model.name, model.params, config, store)
    )
    return replace(model, train=train)


def _cell(
    inputs: PlanInputs,
    model: ModelConfig,
    fold: int | None,
    seed: int,
    made: Sequence[Cell],
    before: Sequence[Cell] = (),
    beside: int | None = None,
) -> Cell:
    """Make a cell. made: those of models further up; before: of its own round before; beside: see Cell."""
    channels = _channels(model, fold, made)
    start = None if model.pretrain is None else _pretraining(inputs, model, model.pretrain, fold, seed, channels)
    if model.fitted_as == "estimator":
        return Cell(model, "none", fold, seed, cell_keys.of_estimator(inputs, model, fold, seed))
    cell = Cell(
        model,
        inputs.features.scaler,
        fold,
        seed,
        {},
        start,
        teachers.of_test(model, fold, made, before),
        channels=channels,
        metric=inputs.metric,
        transform=cell_keys.transform_of(inputs, model),
        only_past=fold is not None and inputs.folds.time is not None,
        beside=beside,
        distilled=teachers.out_of_fold(model, fold, made, inputs.folds, partial(_pair, inputs)),
    )
    return replace(cell, depends=cell_keys.of_fold(inputs, cell))


def _pair(inputs: PlanInputs, cell: Cell, other: int) -> Cell:
    """Make the cell of a teacher that holds out another fold beside its own."""
    model, first, second = teachers.of_pair(cell, other)
    return _cell(inputs, model, first, cell.seed, (), beside=second)


def _channels(model: ModelConfig, fold: int | None, made: Sequence[Cell]) -> Cell | None:
    """Return the estimator's cell of the same fold whose channels a model reads; None: it reads none."""
    if not model.channels_from:
        return None
    found = [cell for cell in made if cell.model.label == model.channels_from and cell.fold == fold]
    if not found:
        raise UserError(
            f"model {model.label!r}: channels_from = {model.channels_from!r} has no cell of "
            f"{'all series' if fold is None else f'fold {fold}'}. It needs full_seeds where {model.label!r} has them."
        )
    return found[0]


def _pretraining(
    inputs: PlanInputs,
    model: ModelConfig,
    config: PretrainConfig,
    fold: int | None,
    seed: int,
    channels: Cell | None,
) -> Cell:
    if config.is_masked:
        return _masked(inputs, model, config, fold, seed)
    assert inputs.pretraining_data is not None, "a pre-trained model needs series to pre-train on"
    store = inputs.pretraining_data(config, fold)
    if config.is_matched:  # smoothed with the lungs that they were simulated about, not with the fold's
        channels = None
    patches.check_store(model.trainings[0].patches, store)
    first = replace(model, train=model.trainings[0], teacher=None, pretrain=None, masked_copies=0)
    first = _with_precision(first, cell_stores.planned(model, store))
    depends = cell_keys.of_pretraining(inputs, first, store, seed, channels)
    # the columns of a metric file are those of the series that are watched, not of the competition's
    metric, transform = store.metric_choice(inputs.data), cell_keys.transform_of(inputs, model)
    return Cell(
        first,
        inputs.features.scaler,
        None,
        seed,
        depends,
        pretraining_store=store.path,
        metric=metric,
        transform=transform,
        channels=channels,
    )


def _masked(inputs: PlanInputs, model: ModelConfig, config: PretrainConfig, fold: int | None, seed: int) -> Cell:
    """Make the cell that learns the inputs of a fold's series and of test; nothing of it needs labels or a score."""
    train = replace(model.trainings[0], watch=WatchConfig(), sample=SampleConfig(), tta=TtaConfig())
    first = replace(model, train=train, teacher=None, pretrain=None, masked_copies=0)
    first = _with_precision(first, inputs.train)
    only_past = fold is not None and inputs.folds.time is not None
    return Cell(
        first,
        inputs.features.scaler,
        fold,
        seed,
        cell_keys.of_masked(inputs, first, config, fold, seed, with_test=not only_past),
        pretraining_store=inputs.train.path,
        transform=cell_keys.transform_of(inputs, model),
        masked=config,
        only_past=only_past,
    )


def jobs(
    plan: Sequence[Cell],
    train: Path,
    folds: Folds,
    test: Path | None,
    exact: Path | None = None,
    force: bool = False,
) -> list[Job]:
    """List the jobs, each behind those whose cells it needs. Equal cells come once."""
    found: dict[str, Job] = {}

    def add(cell: Cell) -> None:
        for other in cell.before:
            add(other)
        if cell.masked is not None:
            job = Job(cell, train, folds, None, force, unlabelled=None if cell.only_past else test)
        elif cell.pretraining_store is not None:
            job = Job(cell, cell.pretraining_store, None, None, force)
        elif cell.beside is not None:
            job = Job(cell, train, folds, None, force)
        else:
            job = Job(cell, train, folds, test, force, exact)
        if cell.key not in found or (found[cell.key].cell.only_helps and not cell.only_helps):
            found[cell.key] = job

    for cell in plan:
        add(cell)
    needed = _needed(list(found.values()))
    return [job for job in found.values() if job.key in needed]


def _needed(every: Sequence[Job]) -> set[str]:
    """Return the keys of jobs with something left to do; what only finished cells need is not needed again."""
    needed: set[str] = set()
    for job in reversed(every):  # so that a cell comes after all that may need it
        wanted = not job.cell.only_helps or job.key in needed
        if job.force or (not job.cell.done and wanted):
            needed |= {job.key, *(other.key for other in job.cell.before)}
        elif job.finished or not wanted:
            needed.discard(job.key)
        else:
            needed.add(job.key)  # it is trained, and has yet to predict the test series
    return needed
