"""What a cell's key hashes: all that its weights depend on, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np

from foldline.core import files, strict_tables
from foldline.data import metrics, open_rows
from foldline.data.folds import Folds
from foldline.data.store import Store
from foldline.fit import boosting_cell, masked_steps, series_cell, target_transform
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.pseudo_labels import TeacherConfig
from foldline.fit.target_transform import RESIDUAL
from foldline.fit.train_config import NEWER, NEWER_IN, NOT_IN_KEY, TrainConfig
from foldline.run.cells import Cell, ModelConfig, engine_of, sources_of
from foldline.run.plan_inputs import PlanInputs


def of_fold(inputs: PlanInputs, cell: Cell) -> dict[str, Any]:
    """Return what the weights of a cell depend on, JSON-able. cell: with those it needs; it has no key yet."""
    model = cell.model
    depends = {
        "data": {
            "fingerprint": inputs.train.fingerprint,
            **inputs.data.roles(),
            **of_facts(inputs.train),
            **_of_levels(inputs),
        },
        "features": inputs.features.weights_depend_on(),
        **_fitted_by(model, inputs, cell.seed),
        **_of_uncounted(model, inputs.train, transform_of(inputs, model)),
        "fold": _split(inputs.folds, cell.fold, cell.beside),
    }
    if inputs.folds.time is not None and model.watched_share:
        depends["watched_by"] = inputs.folds.time.spans.fingerprint
    if inputs.folds.units is not None and (model.watched_share or model.fitted_as == "series"):
        depends["units"] = files.digest(inputs.folds.units.tolist())
    if model.fitted_as == "rows" and boosting_cell.start_lacks(inputs.train):
        depends["known_start"] = "missing where it is not known"  # older versions had 0 there
    if model.fitted_as == "rows" and _are_centred(inputs, cell):
        depends["labels"] = "less their median"  # older versions handed them to the library as they are
    if cell.start is not None:
        depends["start"] = cell.start.key
    if cell.channels is not None:
        depends["channels"] = cell.channels.key
    if model.masked_copies:
        depends["masked_copies"] = model.masked_copies
    if model.teacher is not None:
        depends["teacher"] = _taught_by(inputs, model.teacher, cell)
    return depends


def _are_centred(inputs: PlanInputs, cell: Cell) -> bool:
    """Return whether trees learn a cell's targets less their medians."""
    store, series, model = inputs.train, cell.inside(inputs.folds), cell.model
    if cell.transform not in target_transform.FIXED:
        return boosting_cell.begins_far_away(model.name, model.params)
    scale = target_transform.fit(cell.transform, store, series, cell.seed)
    scale = boosting_cell.scale_of_labels(scale, model.name, model.params, store, series)
    return scale.kind == target_transform.Centred.kind


def _of_levels(inputs: PlanInputs) -> dict[str, str]:
    """Return the name of a forecast's store, which hashes the values that static columns and categories may have.

    Some of these may be of series that are too short for a window: the fingerprint, which is of windows, lacks them.
    """
    data = inputs.data
    return {"store": inputs.train.path.name} if data.forecast.on and (data.static or data.categorical_inputs) else {}


def _taught_by(inputs: PlanInputs, teacher: TeacherConfig, cell: Cell) -> dict[str, Any]:
    """Return what a student depends on of its teachers; the cells of a round before are among them."""
    return {
        "weight": teacher.weight,
        "test": inputs.test if teacher.labels_test else "",
        "exact": inputs.exact if teacher.exact else "",
        "cells": sorted(other.key for other in cell.teachers),
        **teacher.newer,
        **({"out_of_fold": sorted(other.key for other in cell.distilled)} if teacher.distil else {}),
    }


def _split(folds: Folds, fold: int | None, beside: int | None = None) -> dict[str, Any]:
    """Return what weights depend on of a split; of time folds it is more than what is held out."""
    number = fold if beside is None else [fold, beside]
    split = {"number": number, "held_out": files.digest(folds.held_out(fold, beside).tolist())}
    if folds.time is not None and fold is not None:
        split["inside"] = files.digest(folds.inside(fold).tolist())
    return split


def of_estimator(inputs: PlanInputs, model: ModelConfig, fold: int | None, seed: int) -> dict[str, Any]:
    """Return what an estimator of open rows depends on: tables, labels outside of the fold, and code; no feature."""
    return {
        "data": {"fingerprint": inputs.train.fingerprint, **inputs.data.roles(), **of_facts(inputs.train)},
        "features": {},
        "model": {"name": model.name, "params": model.params, "sources": sources_of(model)},
        "train": {},
        "engine": engine_of(model),
        "seed": seed,
        "fold": _split(inputs.folds, fold),
        "test": inputs.test,
    }


def transform_of(inputs: PlanInputs, model: ModelConfig) -> str:
    """Return the scale that a model's targets are learned on: that of [data], or what an estimator leaves."""
    return RESIDUAL if model.channels_from else inputs.data.target_transform


def of_pretraining(
    inputs: PlanInputs, model: ModelConfig, store: Store, seed: int, channels: Cell | None = None
) -> dict[str, Any]:
    """Return what the weights of a pre-training cell depend on. store: of the series that it is trained on."""
    return {
        # The store's name hashes the levels of static columns, too: the same series may have other codes.
        "data": {"fingerprint": store.fingerprint, "store": store.path.name, **inputs.data.roles(), **of_facts(store)},
        "features": inputs.features.weights_depend_on(),
        **_fitted_by(model, inputs, seed),
        **_of_uncounted(model, store, transform_of(inputs, model)),
        "fold": {"number": None, "held_out": files.digest([])},
        **({} if channels is None else {"channels": channels.key}),
        # older versions gave a metric file the columns of the competition's own rows
        **({"metric_columns": "its own"} if model.watched_share and inputs.data.metric_columns else {}),
        **({"embedded": open_rows.code()} if channels is None and model.channels_from else {}),
    }


def of_masked(
    inputs: PlanInputs, model: ModelConfig, config: PretrainConfig, fold: int | None, seed: int, with_test: bool
) -> dict[str, Any]:
    """Return what the weights of a cell depend on that learns inputs without labels. with_test: those of test, too."""
    return {
        "data": {
            "fingerprint": inputs.train.fingerprint,
            "store": inputs.train.path.name,
            **inputs.data.roles(),
            **of_facts(inputs.train),
        },
        "features": inputs.features.weights_depend_on(),
        **_fitted_by(model, inputs, seed),
        **_of_uncounted(model, inputs.train, transform_of(inputs, model)),
        "fold": _split(inputs.folds, fold),
        "masked": {"hidden": config.hidden, "stretch": config.stretch, "noise": config.noise},
        "masked_engine": masked_steps.VERSION,
        "test": inputs.test if with_test else "",
    }


def _fitted_by(model: ModelConfig, inputs: PlanInputs, seed: int) -> dict[str, Any]:
    """What a model's weights depend on besides series.

    The metric is among it where series are watched: their score chooses the epoch, ends training or lowers the rate,
    and tuning prunes by it.
    """
    return {
        "model": {"name": model.name, "params": model.params, "sources": sources_of(model)},
        "train": _settings(model),
        "scaler": inputs.features.scaler if model.is_network else "none",
        "engine": engine_of(model),
        "seed": seed,
        **({"transform": transform} if (transform := transform_of(inputs, model)) else {}),
        **({"metric": metrics.key_of(*inputs.metric)} if model.watched_share else {}),
    }


def _of_uncounted(model: ModelConfig, store: Store, transform: str) -> dict[str, str]:
    """Return that rows of weight 0 are left out of scales, and by heads, only where there are some.

    In older versions they were not. Trees and ROCKET know of no scale but that of ranks.
    """
    scales = model.is_network or transform == "rank" or (model.teacher is not None and model.teacher.align)
    if not scales or np.array_equal(store.counted, store.scored):
        return {}
    return {"weight_of_0": "left out"}


def of_facts(store: Store) -> dict[str, Any]:
    """Return what was done to values before features, and what was added to these (featurize.py).

    Nothing for a complete table, as ever.
    """
    return {"facts": files.digest(store.facts)} if store.facts else {}


def _settings(model: ModelConfig) -> dict[str, Any]:
    """Return what a model's weights depend on of [train]."""
    if model.fitted_as == "rows":
        return boosting_cell.settings(model.train)
    if model.fitted_as == "series":
        return series_cell.settings(model.train)
    train = {name: value for name, value in strict_tables.plain(model.train).items() if name not in NOT_IN_KEY}
    default = strict_tables.plain(TrainConfig())
    train = {name: value for name, value in train.items() if name not in NEWER or value != default[name]}
    for table in NEWER_IN.keys() & train.keys():
        unset = [name for name in NEWER_IN[table] if train[table][name] == default[table][name]]
        train[table] = {name: value for name, value in train[table].items() if name not in unset}
    return train | {"device": model.train.device_used, "deterministic": model.train.is_deterministic}
