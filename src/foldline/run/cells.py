"""What a cell is: one (model, fold, seed), with the key that hashes all that its weights depend on.

Everything foldline does is a map over cells or a reduction of what they leave. A finished cell is never trained again,
whichever experiment needs it. cell_training.py says what happens when one runs, predictions.py and history.py read what
it leaves:

    runs/cells/KEY/   depends.json (what the key hashes), history.jsonl, checkpoint.safetensors (until it is finished),
                      scaler.json, transform.json (where there is one), weights, held_out.npy, out_of_fold.npy,
                      done.json (written last, with the checksums of all these: the cell is finished),
                      test-DATA.npy, test-DATA.json (the checksums of those); of an estimator its channels
                      (estimator_channels.py)
                      spread-*.npy beside predictions whose head estimates its error
                      cost.json (where it ran, and what that cost: cell_cost.py)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foldline import models
from foldline.core import artefacts, files, strict_tables
from foldline.data import open_rows
from foldline.data.folds import Folds
from foldline.data.metrics import MetricChoice
from foldline.data.store import open_store
from foldline.fit import boosting_cell, estimator_cell, series_cell, trainer
from foldline.fit.checkpoint import CHECKPOINT
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.pseudo_labels import TeacherConfig
from foldline.fit.train_config import TrainConfig

DONE = "done.json"  # mark of a finished cell


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One [[model]]: `name` and `label`, the model's own parameters, and what it changes of [train]."""

    name: str  # in the registry
    label: str  # what the tables call it; unique in a config
    params: dict[str, Any]  # fields of the model's Config
    train: TrainConfig  # [train] with this model's changes
    teacher: TeacherConfig | None = None  # pseudo-labels of test series that it is trained on, too
    pretrain: PretrainConfig | None = None  # series that it is trained on first
    masked_copies: int = 0  # of the training series with other exact rows, which it learns from, too
    channels_from: str = ""  # label of an estimator of open rows, whose channels it reads: it learns those rows alone

    @property
    def fitted_as(self) -> str:
        """How it is fitted: a "network", on "rows", on whole "series", or an "estimator" (models/__init__.py)."""
        kind: str = models.MODELS[self.name].config.kind
        return kind

    @property
    def is_network(self) -> bool:
        """Whether it is trained step by step, as a network."""
        return self.fitted_as == "network"

    @property
    def on_gpu(self) -> bool:
        """Whether it is trained on a GPU: a network by [train], trees by a key of their own."""
        return self.train.device_used != "cpu" if self.is_network else self.params.get("device") == "cuda"

    @property
    def trainings(self) -> tuple[TrainConfig, ...]:
        """What its trainings go by, the first one first: that on other series, if there are any."""
        if self.pretrain is None:
            return (self.train,)
        return strict_tables.changed(self.train, self.pretrain.train, f"{self.label}.pretrain.train"), self.train

    @property
    def reads_test(self) -> bool:
        """Whether it learns from test series, too: their pseudo-labels, their inputs, or their exact rows."""
        labels = self.teacher is not None and self.teacher.labels_test
        masked = self.pretrain is not None and self.pretrain.is_masked
        return labels or masked or self.fitted_as == "estimator"

    @property
    def processes(self) -> int:
        """How many processes train one of its networks together."""
        return self.train.processes if self.is_network else 1

    @property
    def watched_share(self) -> float:
        """Share of a fold's training series whose score is watched, and which are not trained on."""
        shares = {"rows": boosting_cell.watched_share(self.train), "series": 0.0, "estimator": 0.0}
        return shares.get(self.fitted_as, self.train.watch.share)


@dataclass(frozen=True)
class Cell:
    """What is needed to train one cell, wherever that happens; it is pickled to workers as it is."""

    model: ModelConfig
    scaler: str
    fold: int | None  # None: fitted on all series, nothing held out
    seed: int
    depends: dict[str, Any]  # all that the weights depend on, JSON-able
    start: Cell | None = None  # pre-training cell whose weights are the first ones
    teachers: tuple[Cell, ...] = ()  # whose test predictions are its pseudo-labels; of the same fold
    pretraining_store: Path | None = None  # the store of a pre-training cell's own series; such a cell predicts nothing
    metric: MetricChoice | None = None  # the competition's, by which watched series are scored, if there are any
    transform: str = ""  # data.target_transform
    masked: PretrainConfig | None = None  # a pre-training cell that learns inputs alone (fit/masked_steps.py)
    only_past: bool = False  # it knows no more than the past of its fold: test series are predicted by full cells
    channels: Cell | None = None  # an estimator's cell of the same fold, whose channels it reads
    beside: int | None = None  # another fold that it holds out, too: a teacher for the students of both
    round: int = 0  # 1, 2, ...: it only teaches the next round of its model; 0: the last one, which predicts
    distilled: tuple[Cell, ...] = ()  # teachers whose out-of-fold predictions are mixed into its labels

    @property
    def key(self) -> str:
        """Hash of `depends`."""
        return files.digest(self.depends)

    @property
    def before(self) -> tuple[Cell, ...]:
        """The cells that must be finished first."""
        others = (cell for cell in (self.start, self.channels) if cell is not None)
        return (*self.teachers, *self.distilled, *others)

    @property
    def only_helps(self) -> bool:
        """Whether it is no part of a prediction: pre-training, a round before the last, a teacher of two folds."""
        return self.pretraining_store is not None or self.beside is not None or self.round > 0

    def held_out(self, folds: Folds) -> np.ndarray:
        """Return the series that it holds out, (n,) int64."""
        return folds.held_out(self.fold, self.beside)

    def inside(self, folds: Folds) -> np.ndarray:
        """Return the series that it is fitted on, (n,) int64."""
        return folds.inside(self.fold, self.beside)

    @property
    def folder(self) -> Path:
        """Where it keeps its files."""
        return files.runs() / "cells" / self.key

    @property
    def name(self) -> str:
        """What messages and progress call it."""
        what = "full" if self.fold is None else f"fold {self.fold}"
        if self.beside is not None:
            what = f"folds {self.fold} and {self.beside}"
        if self.pretraining_store:
            what = "pre-training" if self.masked is None else f"pre-training, {what},"
        return f"{self.model.label} {what} seed {self.seed}" + (f", round {self.round}" if self.round else "")

    @property
    def line(self) -> str:
        """What tables call it together with the cells that are trained for the same."""
        why = "pre-training" if self.pretraining_store else "pairs of folds" if self.beside is not None else ""
        why = f"round {self.round}" if self.round else why
        return f"{self.model.label}{', ' if why else ''}{why}"

    @property
    def done(self) -> bool:
        """Whether it is finished: fitted, its held-out series predicted, and all of it as it was written."""
        return not damage(self.folder)

    def test_path(self, fingerprint: str) -> Path:
        """Return where its predictions for a test table lie. fingerprint: of that table."""
        return self.folder / f"test-{fingerprint}.npy"

    def test_damage(self, fingerprint: str) -> str:
        """Return what is wrong with its predictions for a test table, empty where nothing is."""
        path = self.test_path(fingerprint)
        if not path.with_suffix(".json").exists() and path.exists() and has_no_checksums(self.folder):
            return ""
        return artefacts.damage(path.with_suffix(".json"))

    def refuse_damaged(self, fingerprint: str | None = None) -> None:
        """Refuse to read what it stored, or its predictions for a test table, where that is not what was written.

        Raises:
            Damaged
        """
        why = damage(self.folder) if fingerprint is None else self.test_damage(fingerprint)
        if why:
            raise artefacts.Damaged(
                f"{self.folder} ({self.name}) is damaged: {why}. Run the command again that trained it: it makes anew "
                "what is damaged."
            )


@dataclass(frozen=True)
class Job:
    """A cell to train unless it is finished, and test series to predict. `key` pairs it with its events."""

    cell: Cell
    train: Path | None  # the training table's store; None: the cell is finished, only predict
    folds: Folds | None  # of the training series; None: they have none, and the cell is fitted on all of them
    test: Path | None  # the test table's store
    force: bool = False  # train it although it is finished
    exact: Path | None = None  # exact rows of the test table, for a cell that is trained on them
    unlabelled: Path | None = None  # the store of a table whose inputs alone a cell learns, too
    beside: int = 0  # other cells that the cores would hold, but which wait until it has predicted
    since: float | None = None  # when all that the cell needs was done, s since 1970; None: it is not known

    @property
    def key(self) -> str:
        """The cell's key."""
        return self.cell.key

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: the cell is trained, its checkpoint removed, and the test table predicted."""
        if self.force or (self.cell.folder / CHECKPOINT).exists():
            return False
        if not self.cell.done or self.test is None:
            return self.cell.done
        return not self.cell.test_damage(open_store(self.test).fingerprint)


def damage(folder: Path) -> str:
    """Return why a cell's folder is not that of a finished cell, empty where it is. Older ones have no checksums."""
    why = artefacts.damage(folder / DONE)
    if why == artefacts.NO_MARK:
        return ""
    return why or _of_another(folder)


def _of_another(folder: Path) -> str:
    """Say that files are those of another cell, where they are: of a finished one whose folder was copied over it."""
    depends = folder / "depends.json"
    same = depends.exists() and files.digest(files.read_json(depends)) == folder.name
    return "" if same else "depends.json is not what the folder's name is the hash of"


def has_no_checksums(folder: Path) -> bool:
    """Whether a finished cell is of a version that stored no checksums."""
    return artefacts.damage(folder / DONE) == artefacts.NO_MARK


def engine_of(model: ModelConfig) -> dict[str, int]:
    """Return the version of the part of the engine that fits a model."""
    versions = {
        "rows": {"boosting": boosting_cell.VERSION},
        "series": {"series": series_cell.VERSION},
        "estimator": {"estimator": estimator_cell.VERSION},
    }
    return versions.get(model.fitted_as, {"trainer": trainer.VERSION})


def sources_of(model: ModelConfig) -> dict[str, str]:
    """Hash each file that a model's weights depend on: file -> hash of its text."""
    paths = models.source_of(model.name, model.params)
    own = {f"{path.parent.name}/{path.name}": files.digest(path.read_text(encoding="utf-8")) for path in paths}
    return own | ({"open rows": open_rows.code()} if model.fitted_as == "estimator" else {})
