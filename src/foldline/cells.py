"""The cell: one (model, fold, seed), fitted on the series outside the fold, with its predictions for those inside.

Everything foldline does is a map over cells or a reduction of what they leave. A cell's key hashes what its weights
depend on and nothing else, so a finished cell is never trained again, whichever experiment asks for it:

    runs/cells/KEY/   depends.json (what the key hashes), history.jsonl, scaler.json, weights, held_out.npy,
                      out_of_fold.npy, done.json (written last: the cell is finished), test-DATA.npy
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import models
from foldline import boosting, files, scaler, trainer
from foldline.boosting import RowsCell
from foldline.folds import Folds
from foldline.scaler import Scaler
from foldline.series import DataConfig
from foldline.store import Dense, FeaturesConfig, open_store
from foldline.trainer import Emit, NetworkCell, TrainConfig


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One [[model]]: `name` and `label`, the model's own parameters, and what it changes of [train]."""

    name: str  # in the registry
    label: str  # what the tables call it; unique in a config
    params: dict[str, Any]  # fields of the model's Config
    train: TrainConfig  # [train] with this model's changes

    @property
    def on_rows(self) -> bool:
        """Fitted on flat rows, not as a network."""
        kind: str = models.MODELS[self.name].config.kind
        return kind == "rows"


@dataclass(frozen=True)
class Cell:
    """What is needed to train one cell, wherever that happens; it travels to workers as it is."""

    model: ModelConfig
    scaler: str
    fold: int | None  # None: fitted on all series, nothing held out
    seed: int
    depends: dict[str, Any]  # all that the weights depend on, JSON-able

    @property
    def key(self) -> str:
        return files.digest(self.depends)

    @property
    def folder(self) -> Path:
        return files.runs() / "cells" / self.key

    @property
    def name(self) -> str:
        return f"{self.model.label} fold {'full' if self.fold is None else self.fold} seed {self.seed}"

    @property
    def done(self) -> bool:
        return (self.folder / "done.json").exists()


@dataclass(frozen=True)
class Job:
    """A cell to train, if that is still to do, and series to predict. `key` pairs it with its events."""

    cell: Cell
    train: Path | None  # the training table's store; None: the cell is finished, only predict
    assignment: np.ndarray | None  # (N,) fold of each training series
    test: Path | None  # the test table's store
    force: bool = False  # train it although it is finished

    @property
    def key(self) -> str:
        return self.cell.key

    @property
    def finished(self) -> bool:
        """Nothing is left to do: the cell is trained and the test table predicted."""
        if self.force:
            return False
        if not self.cell.done or self.test is None:
            return self.cell.done
        return test_path(self.cell, open_store(self.test).fingerprint).exists()


def plan(
    data: DataConfig, features: FeaturesConfig, config: list[ModelConfig], dense: Dense, folds: Folds
) -> list[Cell]:
    """The cells of an experiment: models x folds x seeds."""
    shared = {"data": {"fingerprint": dense.fingerprint, **data.roles()}, "features": features.weights_depend_on()}
    return [
        Cell(model, features.scaler, fold, seed, {**shared, **_depends(model, features.scaler, fold, seed, folds)})
        for model in config
        for seed in model.train.seeds
        for fold in range(folds.k)
    ]


def _depends(model: ModelConfig, scaling: str, fold: int, seed: int, folds: Folds) -> dict[str, Any]:
    train = {name: value for name, value in vars(model.train).items() if name not in ("seeds", "device")}
    train["device"] = model.train.device_used
    return {
        "model": {"name": model.name, "params": model.params, "sources": sources_of(model)},
        "train": {"threads": train["threads"]} if model.on_rows else train,
        "scaler": "none" if model.on_rows else scaling,
        "engine": engine_of(model),
        "fold": {"number": fold, "held_out": files.digest(folds.held_out(fold).tolist())},
        "seed": seed,
    }


def engine_of(model: ModelConfig) -> dict[str, int]:
    """The version of the engine's part that fits a model."""
    return {"boosting": boosting.VERSION} if model.on_rows else {"trainer": trainer.VERSION}


def sources_of(model: ModelConfig) -> dict[str, str]:
    """File -> hash of its text, for the files a model's weights depend on."""
    paths = models.source_of(model.name, model.params)
    return {f"{path.parent.name}/{path.name}": files.digest(path.read_text(encoding="utf-8")) for path in paths}


def run(job: Job, emit: Emit) -> None:
    """Train the cell unless it is finished, and predict the test series unless that is stored.

    One process at a time: a second one waits at the lock and finds the work done.
    """
    cell = job.cell
    with files.lock(files.runs() / "locks" / cell.key, on_wait=lambda: emit("waiting")):
        if job.force or not cell.done:
            _train(cell, job, emit)
        if job.test is not None:
            _predict_test(cell, job.test)
    emit("done")


def _train(cell: Cell, job: Job, emit: Emit) -> None:
    assert job.train is not None and job.assignment is not None, (
        f"{cell.name} is not finished and there is nothing to train on"
    )
    shutil.rmtree(cell.folder, ignore_errors=True)  # a half one starts again
    cell.folder.mkdir(parents=True)
    files.write_json(cell.folder / "depends.json", cell.depends)
    dense = open_store(job.train)
    outside, held = np.flatnonzero(job.assignment != cell.fold), np.flatnonzero(job.assignment == cell.fold)
    began = time.perf_counter()
    with (cell.folder / "history.jsonl").open("w", encoding="utf-8") as history:
        fitted = None if cell.model.on_rows else scaler.fit(cell.scaler, dense, outside, cell.seed)
        estimator = _estimator(cell, fitted)
        estimator.fit(dense, outside, cell.seed, _recording(emit, history))
    if fitted is not None:
        files.write_json(cell.folder / "scaler.json", fitted.to_json())
    estimator.save(cell.folder)
    files.write_array(cell.folder / "held_out.npy", held)
    files.write_array(cell.folder / "out_of_fold.npy", estimator.predict(dense, held))
    files.write_json(cell.folder / "done.json", {"time.train_s": time.perf_counter() - began})


def _recording(emit: Emit, history: Any) -> Emit:
    """Every epoch goes into the cell's own history.jsonl, the source of truth, before anyone else hears of it."""

    def record(kind: str, **values: Any) -> None:
        if kind == "epoch":
            history.write(json.dumps(values) + "\n")
            history.flush()
        emit(kind, **values)

    return record


def _estimator(cell: Cell, fitted: Scaler | None) -> NetworkCell | RowsCell:
    model = cell.model
    if fitted is None:
        return RowsCell(model.name, model.params, model.train)
    return NetworkCell(model.name, model.params, model.train, fitted)


def load(cell: Cell, dense: Dense) -> NetworkCell | RowsCell:
    """The finished cell's estimator, ready to predict."""
    stored = cell.folder / "scaler.json"
    estimator = _estimator(cell, Scaler.from_json(files.read_json(stored)) if stored.exists() else None)
    estimator.load(cell.folder, dense)
    return estimator


def test_path(cell: Cell, fingerprint: str) -> Path:
    """Where a cell's predictions for a test table lie."""
    return cell.folder / f"test-{fingerprint}.npy"


def _predict_test(cell: Cell, store: Path) -> None:
    dense = open_store(store)
    path = test_path(cell, dense.fingerprint)
    if not path.exists():
        files.write_array(path, load(cell, dense).predict(dense, np.arange(len(dense.lengths))))


def out_of_fold(cells: list[Cell], dense: Dense) -> np.ndarray:
    """(N, T, K) out-of-fold predictions of one model: mean over seeds, each series by the cells that held it out."""
    assert dense.y is not None, "labelled series are needed"
    total, count = np.zeros(dense.y.shape), np.zeros(len(dense.lengths))
    for cell in cells:
        held = files.read_array(cell.folder / "held_out.npy")
        total[held] += files.read_array(cell.folder / "out_of_fold.npy")
        count[held] += 1
    return total / count[:, None, None]


def history(cell: Cell) -> list[dict[str, Any]]:
    """The epochs of a finished or running cell."""
    path = cell.folder / "history.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def why(cell: Cell) -> list[str]:
    """Why a cell is not finished yet: the dotted keys in which it differs from the nearest stored cell of its model.

    Empty where no finished cell of the same model, fold number and seed is stored: then it is simply new.
    """
    mine = _flat(cell.depends)
    nearest: list[str] | None = None
    for path in (files.runs() / "cells").glob("*/done.json"):
        other = _flat(files.read_json(path.parent / "depends.json"))
        if any(other.get(name) != mine[name] for name in ("model.name", "fold.number", "seed")):
            continue
        differing = sorted(name for name in mine.keys() | other.keys() if mine.get(name) != other.get(name))
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
