"""Small runs: a small copy of the competition goes through the whole pipeline, in a home folder of its own.

What a small run has fitted is compared, byte by byte, with what it fits when something that it must not use has
changed. The engine runs unchanged, from loading to the blend. Nothing of a small run is used by real runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foldline.core import files
from foldline.core.console import Terminal
from foldline.data import competition_file, identity, known_start, known_values, time_steps
from foldline.data.assemble import SAMPLE
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.forecast_config import ForecastConfig
from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.experiment import preparation
from foldline.experiment.config import Config, without_outside_members
from foldline.experiment.preparation import PreparedExperiment
from foldline.fit.train_config import TrainConfig
from foldline.run import executors
from foldline.run.cell_cost import COST
from foldline.run.cells import Cell, ModelConfig
from foldline.run.executor_config import ExecutorConfig
from foldline.run.history import read_history

FOLDS, EPOCHS, BATCH, ROUNDS, BREATHS = 3, 1, 16, 20, 16  # at most
SIZES = {"rows": {"rounds": ROUNDS}, "series": {"kernels": 168, "groups": 8, "trees": 20}}  # at most; fitted as -> key
TIME_COLUMN = "__time__"  # by which time folds of small runs go: it says what folds.by says, and nothing changes it
PARTS = {  # what a cell stores, each part before those that depend on it
    "center": "the scaler's centres",
    "scale": "the scaler's scales",
    "transform.json": "the target's transform",
    "y_center": "the target's centre",
    "y_scale": "the target's scale",
    "grids": "the target's grid",
    "auxiliary": "the auxiliary targets' scales",
    "watched": "the watched score (early stopping)",
    "loss": "the training loss",
    "weights.safetensors": "the network's weights",
    "booster-0.txt": "the boosted trees",
    "out_of_fold.npy": "the out-of-fold predictions",
}
ROW = "__row__"  # column of row ids, where the config has them made (data.id_template)
CODE = "competition.py"
NOT_FITTED = ("depends.json", "done.json", "held_out.npy", "scaler.json", "history.jsonl", COST)


@dataclass(frozen=True)
class SmallRun:
    """A finished run of the small competition."""

    home: Path
    prepared: PreparedExperiment

    def cells(self, fold: int) -> dict[str, Cell]:
        """The cells of a fold by name: names are the same in all small runs, keys are not."""
        return {cell.name: cell for cell in self.prepared.plan if cell.fold == fold}


def run(
    config: Config,
    train: pl.DataFrame,
    test: pl.DataFrame,
    home: Path,
    fold: int | None = None,
    start: np.ndarray | None = None,
) -> SmallRun:
    """Train the cells of one fold, or of all, on the given tables.

    start: (rows, K) known first targets of the test table, if it has any.

    Raises:
        UserError: as training does.
    """
    source = home / "data"
    source.mkdir(parents=True, exist_ok=True)  # of a run that was refused, a check before
    data = _in_plain_files(_data(config, train, str(source)), home)
    shown = test if start is None or data.known else known_start.shown(test, data, start)
    for name, frame in (("train", train), ("test", shown)):
        named = frame if data.id in frame.columns else frame.with_row_index(data.id)
        named.write_parquet(source / f"{name}.parquet")
    with files.at_home_everywhere(home):
        prepared = preparation.prepare(replace(config, data=data), Terminal(quiet=True))
        plan = [cell for cell in prepared.plan if fold in (None, cell.fold)]
        executors.execute(replace(prepared, plan=plan).jobs(), ExecutorConfig(kind="serial"), lambda *_: None)
    return SmallRun(home, prepared)


def as_written(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table's frame, changed or not, as a file would have it: with dates where its order is dates.

    Known values stand in columns of their own in both files, so that the same rows are known in every small run.
    """
    if table.moments is not None:
        frame = frame.with_columns(table.moments.alias(table.data.order))
    if table.given is None:
        return frame
    values = frame.select(table.data.target).to_numpy() if table.labelled else table.start
    assert values is not None, "a test table with known rows has their values"
    return known_values.written(frame, _known_apart(table.data), table.given, values)


def _known_apart(data: DataConfig) -> DataConfig:
    """Return the same roles with known values in columns that are not the target's."""
    return replace(data, known=tuple(f"known {name}" for name in data.target)) if data.known else data


def _data(config: Config, train: pl.DataFrame, source: str) -> DataConfig:
    """Read a table that has its targets and steps already, and perhaps not all classes; it makes no submission.

    The windows of a forecast are there already, too.
    """
    data = _known_apart(config.data)
    group = data.named_group if config.folds.kind == "time" else data.group_column
    if data.forecast.on:
        data = replace(data, forecast=ForecastConfig(), observed=data.known_column, group=group)
    auxiliary = tuple(replace(each, classes=_there(each.classes, train[each.name])) for each in data.auxiliary)
    classes = _there(data.classes, train[data.target[0]])
    data = replace(data.of_windows(), group=group) if data.level == "window" else data
    data = replace(data, source=source, labels="", classes=classes, auxiliary=auxiliary, resample=None, first=0, last=0)
    if not (data.id_template or data.column_template or config.data.forecast.on):
        return data
    row_id = data.key if data.on_series else ROW
    return replace(data, id=row_id, id_template="", id_file="", column_template="")


def _in_plain_files(data: DataConfig, home: Path) -> DataConfig:
    """Read two plain files, whatever the competition's are: joined, and made by tables() of a competition.py.

    Of that file only features() counts, in a copy in the home folder.
    """
    plain = replace(data, train="train", test="test", sample=SAMPLE, join=(), code="", code_folder="")
    code = competition_file.of(data.code_path)
    if code is None or not code.has("features"):
        return plain
    (home / CODE).write_text(code.text_of_features, encoding="utf-8")
    return replace(plain, code=CODE, code_folder=str(home))


def _there(classes: tuple[str, ...], column: pl.Series) -> tuple[str, ...]:
    """Return those of the classes that a column has."""
    if not classes:
        return ()
    there, known = set(identity.texts(column.drop_nulls())), identity.texts(pl.Series(classes))
    return tuple(given for given, name in zip(classes, known, strict=True) if name in there)


def small(config: Config, series: int) -> Config:
    """Make the config of a small run: the same parts, few folds, epochs and rounds; fp32 on the CPU.

    series: their number, or that of their groups: so many folds can be made.

    Members from outside are left out: they predict other rows, and cannot be fitted again.
    """
    k = max(2, min(config.folds.k, FOLDS, series))
    folds = FoldsConfig(kind="group", k=k, seed=config.folds.seed)
    if config.folds.kind == "time":
        folds = replace(config.folds, k=k, file="", by=TIME_COLUMN)
    return replace(
        without_outside_members(config),
        folds=folds,
        models=tuple(_small_model(model) for model in config.models),
    )


def _small_model(model: ModelConfig) -> ModelConfig:
    params, pretrain, most = model.params, model.pretrain, SIZES.get(model.fitted_as, {})
    params = {**params, **{name: min(params[name], size) for name, size in most.items() if name in params}}
    if pretrain is not None:
        few = replace(pretrain, breaths=min(pretrain.breaths, BREATHS), calibrate="no", train={"epochs": EPOCHS})
        own = pretrain.source == "simulate" or pretrain.is_masked
        pretrain = few if own else None  # a folder may be large; `near_duplicates` checks it
    return replace(model, params=params, train=_quick(model.train), pretrain=pretrain)


def _quick(train: TrainConfig) -> TrainConfig:
    return replace(
        train,
        patches=replace(train.patches, every=time_steps.length_of(train.patches.every)),  # dates are seconds already
        epochs=max(1, min(train.epochs, EPOCHS)),
        batch=min(train.batch, BATCH),
        seeds=train.seeds[:1],
        full_seeds=(),
        device="cpu",
        precision="fp32",
        compile=False,
        deterministic="auto",
    )


def differences(one: SmallRun, other: SmallRun, fold: int, leave_out: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Compare what the cells of a fold have fitted: cell -> parts that differ, causes first; empty where all is equal.

    leave_out: cells or parts that may differ.
    """
    found = {}
    for name, cell in one.cells(fold).items():
        with files.at_home_everywhere(one.home):
            fitted_here = fitted(cell)
        with files.at_home_everywhere(other.home):
            fitted_there = fitted(other.cells(fold)[name])
        changed = {
            part for part in fitted_here | fitted_there if fitted_here.get(part) != fitted_there.get(part)
        } - set(leave_out)
        if changed and name not in leave_out:
            others = sorted(changed - PARTS.keys())
            found[name] = [shown for part, shown in PARTS.items() if part in changed] + others
    return found


def fitted(cell: Cell) -> dict[str, Any]:
    """Read everything that a cell has fitted, and its out-of-fold predictions: name of the part -> its value."""
    stored = cell.folder / "scaler.json"
    found: dict[str, Any] = files.read_json(stored) if stored.exists() else {}
    for row in read_history(cell):
        for name, value in row.items():
            if not name.startswith("time."):
                found.setdefault(name, []).append(value)
    for path in cell.folder.iterdir():
        if path.name not in NOT_FITTED and not path.name.startswith(("test-", "spread-", ".")):
            found[path.name] = path.read_bytes()
    return found
