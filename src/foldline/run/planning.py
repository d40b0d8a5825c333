"""From a config to cells, from cells to jobs: what there is to train, what its weights depend on, in what order.

A cell's key is the hash of its `depends`; everything that can change its weights stands there, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from foldline.core import files, schema
from foldline.core.errors import UserError
from foldline.data.featurize import FeaturesConfig
from foldline.data.folds import Folds
from foldline.data.roles import DataConfig
from foldline.data.store import Store
from foldline.fit import boosting_cell, precision, step_time
from foldline.fit.device_dataset import kept_steps
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.train_config import NOT_IN_KEY
from foldline.run.cells import Cell, Job, ModelConfig, engine_of, sources_of

FEW = 4  # keys in which an experiment may differ from one on other data and still be a version of it


@dataclass(frozen=True)
class PlanInputs:
    """What all cells of an experiment share."""

    data: DataConfig
    features: FeaturesConfig
    train: Store
    folds: Folds
    test: str = ""  # fingerprint of the test table
    exact: str = ""  # what the exact rows of the test table hash to, where a teacher gives them
    pretraining_data: Callable[[PretrainConfig, int | None], Store] | None = (
        None  # the series to pre-train a fold's cells on
    )


def definite(
    config: Sequence[ModelConfig], dense: Store, update: Callable[[int, int], None] = lambda done, of: None
) -> list[ModelConfig]:
    """The models with the precision that is used on this machine in place of `auto`; update(models done, of)."""
    found = []
    for number, model in enumerate(config):
        update(number, len(config))
        found.append(_definite(model, dense))
    return found


def plan(given: PlanInputs, config: Sequence[ModelConfig]) -> list[Cell]:
    """The cells of an experiment: models x (folds x seeds, and full ones); what must come before stands in each."""
    made: list[Cell] = []
    for model in definite(config, given.train):
        places: list[tuple[int | None, int]] = [
            (fold, seed) for seed in model.train.seeds for fold in range(given.folds.k)
        ]
        places += [(None, seed) for seed in model.train.full_seeds]
        made += [_cell(given, model, fold, seed, made) for fold, seed in places]
    return made


def _definite(model: ModelConfig, dense: Store) -> ModelConfig:
    if model.on_rows or model.train.precision != "auto":
        return model
    what = {"model": model.name, "params": model.params, "batch": model.train.batch, "micro": model.train.micro}
    what |= {"steps": kept_steps(model.train.margin, dense), "features": dense.channels, "engine": engine_of(model)}
    train = precision.resolve(
        model.train, what, lambda config: step_time.seconds_a_step(model.name, model.params, config, dense)
    )
    return replace(model, train=train)


def _cell(given: PlanInputs, model: ModelConfig, fold: int | None, seed: int, made: Sequence[Cell]) -> Cell:
    start = None if model.pretrain is None else _pretraining(given, model, model.pretrain, fold, seed)
    asked = () if model.teacher is None else model.teacher.of
    teachers = tuple(other for other in made if other.model.label in asked and other.fold == fold)
    for label in asked:
        if not any(teacher.model.label == label for teacher in teachers):
            raise UserError(
                f"model {model.label!r}: its teacher {label!r} has no cell of "
                f"{'all series' if fold is None else f'fold {fold}'}. Teachers stand further up in the config, and "
                "need full_seeds where the student has them."
            )
    depends = {
        "data": {"fingerprint": given.train.fingerprint, **given.data.roles()},
        "features": given.features.weights_depend_on(),
        **_fitted_by(model, given.features.scaler, seed),
        "fold": {"number": fold, "held_out": files.digest([] if fold is None else given.folds.held_out(fold).tolist())},
    }
    if start is not None:
        depends["start"] = start.key
    if model.teacher is not None:
        depends["teacher"] = {
            "weight": model.teacher.weight,
            "test": given.test,
            "exact": given.exact if model.teacher.exact else "",
            "cells": sorted(teacher.key for teacher in teachers),
        }
    return Cell(model, given.features.scaler, fold, seed, depends, start, teachers)


def _pretraining(given: PlanInputs, model: ModelConfig, config: PretrainConfig, fold: int | None, seed: int) -> Cell:
    assert given.pretraining_data is not None, "a pre-trained model needs series to pre-train on"
    dense = given.pretraining_data(config, fold)
    train = schema.changed(model.train, config.train, f"{model.label}.pretrain.train")
    first = _definite(replace(model, train=train, teacher=None, pretrain=None), dense)
    depends = {
        "data": {"fingerprint": dense.fingerprint, "store": dense.path.name, **given.data.roles()},  # store: levels too
        "features": given.features.weights_depend_on(),
        **_fitted_by(first, given.features.scaler, seed),
        "fold": {"number": None, "held_out": files.digest([])},
    }
    return Cell(first, given.features.scaler, None, seed, depends, pretraining_store=dense.path)


def jobs(
    plan: Sequence[Cell],
    train: Path,
    assignment: np.ndarray,
    test: Path | None,
    exact: Path | None = None,
    force: bool = False,
) -> list[list[Job]]:
    """What there is to do, in stages: each stage's cells need only those of the stages before; equal cells once."""
    stages: list[dict[str, Job]] = []

    def add(cell: Cell) -> int:
        stage = 1 + max((add(other) for other in cell.before), default=-1)
        while len(stages) <= stage:
            stages.append({})
        if cell.pretraining_store is not None:
            job = Job(cell, cell.pretraining_store, np.zeros(0), None, force)
        else:
            job = Job(cell, train, assignment, test, force, exact)
        stages[stage].setdefault(cell.key, job)
        return stage

    for cell in plan:
        add(cell)
    needed = _needed([job for stage in stages for job in stage.values()])
    return [[job for job in stage.values() if job.key in needed] for stage in stages]


def _needed(every: Sequence[Job]) -> set[str]:
    """The keys of jobs that have something left to do; what only finished cells have needed is not needed again."""
    needed: set[str] = set()
    for job in reversed(every):  # later stages first: a cell comes after all that may need it
        train = job.force or (not job.cell.done and (job.cell.pretraining_store is None or job.key in needed))
        if train:
            needed |= {job.key, *(other.key for other in job.cell.before)}
        elif job.finished or job.cell.pretraining_store is not None:
            needed.discard(job.key)
        else:
            needed.add(job.key)  # it is trained, and has yet to predict the test series
    return needed


def _fitted_by(model: ModelConfig, scaling: str, seed: int) -> dict[str, Any]:
    """What a model's weights depend on besides series."""
    train = {name: value for name, value in schema.plain(model.train).items() if name not in NOT_IN_KEY}
    train |= {"device": model.train.device_used, "deterministic": model.train.is_deterministic}
    return {
        "model": {"name": model.name, "params": model.params, "sources": sources_of(model)},
        "train": boosting_cell.settings(model.train) if model.on_rows else train,
        "scaler": "none" if model.on_rows else scaling,
        "engine": engine_of(model),
        "seed": seed,
    }


def why(cell: Cell) -> list[str]:
    """Why a cell is not finished yet: the dotted keys in which it differs from the nearest stored cell of its model.

    Empty where no finished cell of the same model, fold number and seed is stored: then it is simply new. One of
    other data that differs in more than a few keys beside is another competition's, and says nothing of this one.
    """
    mine = _flat(cell.depends)
    nearest: list[str] | None = None
    for path in (files.runs() / "cells").glob("*/done.json"):
        other = _flat(files.read_json(path.parent / "depends.json"))
        if any(other.get(name) != mine[name] for name in ("model.name", "fold.number", "seed")):
            continue
        differing = sorted(name for name in mine.keys() | other.keys() if mine.get(name) != other.get(name))
        if "data.fingerprint" in differing and len(differing) > FEW:
            continue
        if differing and (nearest is None or len(differing) < len(nearest)):
            nearest = differing
    return nearest or []


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        name: leaf
        for key, item in value.items()
        for name, leaf in _flat(item, f"{prefix}.{key}" if prefix else key).items()
    }
