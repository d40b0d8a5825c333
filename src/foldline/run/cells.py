"""The cell: one (model, fold, seed), fitted on the series outside the fold, with its predictions for those inside.

Everything foldline does is a map over cells or a reduction of what they leave. A cell's key hashes what its weights
depend on and nothing else, so a finished cell is never trained again, whichever experiment asks for it:

    runs/cells/KEY/   depends.json (what the key hashes), history.jsonl, checkpoint.safetensors (until it is finished),
                      scaler.json, weights, held_out.npy, out_of_fold.npy, done.json (written last: the cell is
                      finished), test-DATA.npy; spread-*.npy beside predictions whose head knows how far off they are
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foldline import models
from foldline.core import files, interrupt
from foldline.core.errors import UserError
from foldline.data.metrics import Metric, metric
from foldline.data.store import Store, open_store
from foldline.fit import boosting_cell, scaler, trainer
from foldline.fit.boosting_cell import RowsCell
from foldline.fit.labelled_series import labelled_series
from foldline.fit.network_cell import NetworkCell
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.pseudo_labels import PseudoLabels, TeacherConfig
from foldline.fit.scaler import Scaler
from foldline.fit.train_config import TrainConfig
from foldline.fit.trainer import Emit
from foldline.fit.training_state import CHECKPOINT


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One [[model]]: `name` and `label`, the model's own parameters, and what it changes of [train]."""

    name: str  # in the registry
    label: str  # what the tables call it; unique in a config
    params: dict[str, Any]  # fields of the model's Config
    train: TrainConfig  # [train] with this model's changes
    teacher: TeacherConfig | None = None  # labels of test series that it learns from too
    pretrain: PretrainConfig | None = None  # series that it is trained on first

    @property
    def on_rows(self) -> bool:
        """Fitted on flat rows, not as a network."""
        kind: str = models.MODELS[self.name].config.kind
        return kind == "rows"

    @property
    def watched_share(self) -> float:
        """Share of a fold's training series whose score is watched, and which are not trained on."""
        return boosting_cell.watched_share(self.train) if self.on_rows else self.train.watch.share


@dataclass(frozen=True)
class Cell:
    """What is needed to train one cell, wherever that happens; it travels to workers as it is."""

    model: ModelConfig
    scaler: str
    fold: int | None  # None: fitted on all series, nothing held out
    seed: int
    depends: dict[str, Any]  # all that the weights depend on, JSON-able
    start: Cell | None = None  # whose weights are the first ones
    teachers: tuple[Cell, ...] = ()  # whose test predictions are learnt from; of the same fold
    pretraining_store: Path | None = None  # the store of a pre-training cell's own series; such a cell predicts nothing
    metric: str | None = None  # name of the metric that watched series are scored by; None: training is over

    @property
    def key(self) -> str:
        return files.digest(self.depends)

    @property
    def before(self) -> tuple[Cell, ...]:
        """The cells that must be finished first."""
        return (*self.teachers, *([] if self.start is None else [self.start]))

    @property
    def folder(self) -> Path:
        return files.runs() / "cells" / self.key

    @property
    def name(self) -> str:
        what = "pre-training" if self.pretraining_store else "full" if self.fold is None else f"fold {self.fold}"
        return f"{self.model.label} {what} seed {self.seed}"

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
    exact: Path | None = None  # exact rows of the test table, for a cell that learns from them

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


def engine_of(model: ModelConfig) -> dict[str, int]:
    """The version of the engine's part that fits a model."""
    return {"boosting": boosting_cell.VERSION} if model.on_rows else {"trainer": trainer.VERSION}


def sources_of(model: ModelConfig) -> dict[str, str]:
    """File -> hash of its text, for the files a model's weights depend on."""
    paths = models.source_of(model.name, model.params)
    return {f"{path.parent.name}/{path.name}": files.digest(path.read_text(encoding="utf-8")) for path in paths}


def run(job: Job, emit: Emit) -> Iterator[None]:
    """Train the cell unless it is finished, and predict the test series unless that is stored; pauses between steps.

    One process at a time: a second one waits at the lock and finds the work done.
    """
    interrupt.stop_if_requested()
    cell = job.cell
    with ExitStack() as held:
        with interrupt.immediate():
            held.enter_context(files.lock(files.runs() / "locks" / cell.key, on_wait=lambda: emit("waiting")))
        _sweep(cell)
        if job.force or not cell.done:
            yield from _train(cell, job, emit)
        if job.test is not None:
            _predict_test(cell, job.test)
    emit("done")


def _sweep(cell: Cell) -> None:
    """Remove what a kill may have left: half-written files, and the checkpoint of a cell that was just finished."""
    for path in [*cell.folder.glob(".*"), *([cell.folder / CHECKPOINT] if cell.done else [])]:
        path.unlink(missing_ok=True)


def _train(cell: Cell, job: Job, emit: Emit) -> Iterator[None]:
    assert job.train is not None and job.assignment is not None, (
        f"{cell.name} is not finished and there is nothing to train on"
    )
    if cell.done or not (cell.folder / CHECKPOINT).exists():
        shutil.rmtree(cell.folder, ignore_errors=True)  # forced, or half of one: it starts again
    cell.folder.mkdir(parents=True, exist_ok=True)
    files.write_json(cell.folder / "depends.json", cell.depends)
    store = open_store(job.train)
    held = np.zeros(len(store.lengths), dtype=bool) if cell.fold is None else job.assignment == cell.fold
    outside, inside = np.flatnonzero(~held), np.flatnonzero(held)
    began = time.perf_counter()
    with (cell.folder / "history.jsonl").open("w", encoding="utf-8") as history:
        estimator = yield from _fitted(cell, job, store, outside, _recording(emit, history))
    estimator.save(cell.folder)
    files.write_array(cell.folder / "held_out.npy", inside)
    _write_predictions(cell, estimator, store, inside, cell.folder / "out_of_fold.npy")
    files.write_json(cell.folder / "done.json", {"time.train_s": time.perf_counter() - began})
    (cell.folder / CHECKPOINT).unlink(missing_ok=True)


def _fitted(
    cell: Cell, job: Job, store: Store, outside: np.ndarray, emit: Emit
) -> Generator[None, None, NetworkCell | RowsCell]:
    """The cell's estimator, fitted on the series outside its fold and on what its teachers say of test series."""
    if cell.model.on_rows:
        boosted = _estimator(cell, None)
        assert isinstance(boosted, RowsCell)
        boosted.fit(store, outside, cell.seed, emit)
        return boosted
    begun = None if cell.start is None else Scaler.from_json(files.read_json(cell.start.folder / "scaler.json"))
    fitted = begun or scaler.fit(cell.scaler, store, outside, cell.seed)  # weights go with the scale they learnt at
    files.write_json(cell.folder / "scaler.json", fitted.to_json())
    labelled_sets = [labelled_series(store, outside)]
    if cell.model.teacher is not None:
        assert job.test is not None, "teachers label test series"
        fingerprint = open_store(job.test).fingerprint
        exact = job.exact if cell.model.teacher.exact else None
        labels = tuple(test_path(teacher, fingerprint) for teacher in cell.teachers)
        labelled_sets.append(
            PseudoLabels(job.test, exact, labels, cell.model.teacher.weight).labelled_series(len(fitted.y_center))
        )
    network = _estimator(cell, fitted)
    assert isinstance(network, NetworkCell)
    yield from network.fit(
        labelled_sets, cell.seed, emit, cell.folder, None if cell.start is None else cell.start.folder
    )
    return network


def _recording(emit: Emit, history: Any) -> Emit:
    """Every epoch goes into the cell's own history.jsonl, the source of truth, before anyone else hears of it."""

    def record(kind: str, **values: Any) -> None:
        rows = values.pop("history") if kind == "resumed" else [values] if kind == "epoch" else []
        for row in rows:
            history.write(json.dumps(row) + "\n")
            history.flush()
            if kind == "resumed":
                emit("epoch", **row)  # what listens to this run hears of the epochs before, too
        emit(kind, **values)

    return record


def _write_predictions(
    cell: Cell, estimator: NetworkCell | RowsCell, store: Store, series: np.ndarray, path: Path
) -> None:
    """Predictions under `path`, and their spread beside them where the model knows it.

    Raises:
        UserError: one is not finite; a blend would carry that everywhere.
    """
    values, spread = estimator.predict(store, series)
    bad = ~np.isfinite(values).all(axis=1)
    broken = np.unique(np.repeat(series, store.lengths[series])[bad])
    if len(broken):
        raise UserError(
            f"{cell.name}: a prediction must be finite, but that of series {store.keys[broken][0]} is not "
            f"({len(broken)} such series). Look for an extreme input there, or at the losses in "
            f"{cell.folder / 'history.jsonl'}."
        )
    if spread is not None:
        files.write_array(spread_path(path), spread)
    files.write_array(path, values)


def spread_path(path: Path) -> Path:
    """Where the spread of the predictions in `path` lies: (r, K) expected absolute error, in the target's unit."""
    return path.with_name(f"spread-{path.name}")


def _estimator(cell: Cell, fitted: Scaler | None) -> NetworkCell | RowsCell:
    model, watched_by = cell.model, None if cell.metric is None else metric(cell.metric)
    if fitted is None:
        return RowsCell(model.name, model.params, model.train, watched_by)
    return NetworkCell(model.name, model.params, model.train, fitted, watched_by)


def load(cell: Cell, store: Store) -> NetworkCell | RowsCell:
    """The finished cell's estimator, ready to predict."""
    stored = cell.folder / "scaler.json"
    estimator = _estimator(cell, Scaler.from_json(files.read_json(stored)) if stored.exists() else None)
    estimator.load(cell.folder, store)
    return estimator


def test_path(cell: Cell, fingerprint: str) -> Path:
    """Where a cell's predictions for a test table lie."""
    return cell.folder / f"test-{fingerprint}.npy"


def _predict_test(cell: Cell, table: Path) -> None:
    store = open_store(table)
    path = test_path(cell, store.fingerprint)
    if not path.exists():
        _write_predictions(cell, load(cell, store), store, np.arange(len(store.lengths)), path)


def out_of_fold(cells: Sequence[Cell], store: Store) -> np.ndarray:
    """Collect one model's out-of-fold predictions: (R, K), each row by the cells that held it out, the mean over seeds."""
    return _mean_of_held_out(store, [(cell, cell.folder / "out_of_fold.npy") for cell in cells])


def out_of_fold_spread(cells: Sequence[Cell], store: Store) -> np.ndarray | None:
    """Collect the expected absolute error of those, (R, K); None where the model does not know it."""
    paths = [(cell, spread_path(cell.folder / "out_of_fold.npy")) for cell in cells if cell.fold is not None]
    return _mean_of_held_out(store, paths) if paths and all(path.exists() for _, path in paths) else None


def _mean_of_held_out(store: Store, stored: Sequence[tuple[Cell, Path]]) -> np.ndarray:
    total, count = np.zeros(store.y.shape), np.zeros(len(store.scored))
    for cell, path in stored:
        rows = store.rows(files.read_array(cell.folder / "held_out.npy"))
        total[rows] += files.read_array(path)
        count[rows] += 1
    return total / count[:, None]


def held_out_score(cell: Cell, store: Store, chosen: Metric) -> float | None:
    """Score of a finished cell on the series it held out, as its model left them; None where it held out none."""
    rows = store.rows(files.read_array(cell.folder / "held_out.npy"))
    scored = store.scored[rows]
    if not scored.any():
        return None
    return chosen(store.y[rows[scored]], files.read_array(cell.folder / "out_of_fold.npy")[scored])


def history(cell: Cell) -> list[dict[str, Any]]:
    """The epochs of a finished or running cell."""
    path = cell.folder / "history.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
