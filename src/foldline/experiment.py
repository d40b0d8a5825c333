"""From finished cells to an answer: scores, blend, post-processing, and the record that `infer` reads.

A reduction of what cells left; it trains nothing and takes a second, so [blend] and [post] can be changed at no cost.
"""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from foldline import blend, cells, files, post
from foldline.blend import Blend
from foldline.cells import Cell, ModelConfig
from foldline.config import Config, from_tables
from foldline.errors import UserError
from foldline.exact import Exact
from foldline.folds import Folds
from foldline.metrics import metric
from foldline.post import Grid
from foldline.store import Dense, pad, unpad
from foldline.submit import Expected, Origin


@dataclass(frozen=True)
class Result:
    """What an experiment found. M models, N training series, R scored rows, K targets."""

    labels: tuple[str, ...]  # (M,)
    members: np.ndarray  # (M, N, T, K) out-of-fold predictions
    blended: np.ndarray  # (N, T, K) nested out-of-fold blend, after post-processing: what the score is of
    scores: dict[str, list[float]]  # row of the score table -> its score in each fold, then over all rows
    blend: Blend  # fitted on all out-of-fold rows: what test predictions get
    grids: list[Grid | None]  # (K,) of all training targets

    @property
    def score(self) -> float:
        """Out-of-fold score of what is submitted."""
        return next(reversed(self.scores.values()))[-1]


def reduce(config: Config, plan: list[Cell], dense: Dense, folds: Folds, exact: Exact | None) -> Result:
    """Scores and blend of an experiment whose cells are all finished.

    Args:
        exact: what a decoder read back from the training series' inputs, if post.decode asks for it.
    """
    assert dense.y is not None, "an experiment is scored on labelled series"
    measure = metric(config.data.metric)
    labels = tuple(model.label for model in config.models)
    members = np.stack(
        [cells.out_of_fold([cell for cell in plan if cell.model.label == label], dense) for label in labels]
    )
    scored, y = dense.scored, np.asarray(dense.y)
    fold = np.broadcast_to(folds.assignment[:, None], scored.shape)[scored]  # (R,)
    rows, truth = members[:, scored], y[scored]  # (M, R, K), (R, K)
    mixed = blend.nested(config.blend, labels, rows, truth, fold, measure)
    shown = {label: rows[number] for number, label in enumerate(labels)}
    if len(labels) > 1:
        shown[f"blend ({config.blend.method})"] = mixed
    final = mixed
    if config.post.snap and any(grid is not None for grid in post.detect_grids(truth)):
        final = _snapped_by_fold(mixed, truth, fold)
        shown["snapped to the grid"] = final
    if exact is not None:
        final = post.paste(final, pad(exact.values, dense.lengths, scored.shape[1])[scored])
        shown["exact rows in place"] = final
    scores = {name: _by_fold(values, truth, fold, measure) for name, values in shown.items()}
    fitted = blend.fit(config.blend, labels, rows, truth, measure)
    blended = np.zeros(y.shape)
    blended[scored] = final
    grids: list[Grid | None] = post.detect_grids(truth) if config.post.snap else [None] * y.shape[2]
    return Result(labels, members, blended, scores, fitted, grids)


def _by_fold(values: np.ndarray, truth: np.ndarray, fold: np.ndarray, measure: Any) -> list[float]:
    """Score in each fold, then over all rows."""
    each = [measure(truth[fold == number], values[fold == number]) for number in np.unique(fold)]
    return [*each, measure(truth, values)]


def _snapped_by_fold(values: np.ndarray, truth: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Each fold snapped to the grid that the other folds' targets show."""
    snapped = np.empty_like(values)
    for number in np.unique(fold):
        inside = fold == number
        snapped[inside] = post.snap(values[inside], post.detect_grids(truth[~inside]))
    return snapped


def predict_test(
    fitted: Blend, grids: list[Grid | None], plan: list[Cell], dense: Dense, exact: Exact | None
) -> np.ndarray:
    """(rows, K) test predictions: mean over folds and seeds in each model, then blend, grid, exact rows."""
    members = []
    for label in fitted.labels:
        paths = [cells.test_path(cell, dense.fingerprint) for cell in plan if cell.model.label == label]
        total = files.read_array(paths[0]).astype(np.float64)
        for path in paths[1:]:
            total += files.read_array(path, mapped=True)
        members.append(total / len(paths))
    snapped = post.snap(unpad(fitted.apply(np.stack(members)), dense.lengths), grids)
    return snapped if exact is None else post.paste(snapped, exact.values)


def folder_of(config: Config, plan: list[Cell], test: str) -> Path:
    """runs/NAME/HASH: the same experiment has the same folder."""
    tables = config.tables()
    what = [tables["blend"], tables["post"], config.data.metric, sorted(cell.key for cell in plan), test]
    return files.runs() / config.name / files.digest(what)


def origin(config: Config, plan: list[Cell], folder: Path, test: str, score: float) -> Origin:
    """What the ledger says of a submission of this experiment. test: fingerprint of the test table."""
    return Origin(
        config=config.name,
        config_hash=files.digest(config.tables()),
        experiment=folder.name,
        cells=files.digest(sorted(cell.key for cell in plan)),
        test=test,
        out_of_fold=score,
        simulated=config.data.simulated,
    )


def record(
    folder: Path, config: Config, plan: list[Cell], result: Result, levels: dict[str, Any], expected: list[Expected]
) -> None:
    """Write experiment.json and config.toml, and point `latest` here: what `infer` reads, and what reproduces it."""
    value = {
        "name": config.name,
        "config": config.tables(),
        "cells": [{"label": cell.model.label, "fold": cell.fold, "seed": cell.seed, "key": cell.key} for cell in plan],
        "levels": {name: list(values) for name, values in levels.items()},
        "blend": asdict(result.blend),
        "grids": [None if grid is None else asdict(grid) for grid in result.grids],
        "expected": [asdict(target) for target in expected],
        "scores": [[name, values] for name, values in result.scores.items()],
        "environment": environment(),
    }
    files.write_json(folder / "experiment.json", value)
    files.write_text(folder / "config.toml", tomli_w.dumps(config.tables()))
    files.point(folder.parent / "latest", folder)


def environment() -> dict[str, str]:
    """Versions that decide the last bits."""
    from importlib.metadata import version

    names = ("torch", "numpy", "polars", "lightgbm")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: version(name) for name in names},
    }


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A recorded experiment, ready to be applied to new series."""

    config: Config
    plan: list[Cell]
    levels: dict[str, tuple[object, ...]]
    blend: Blend
    grids: list[Grid | None]
    expected: list[Expected]  # (K,) what the gate holds predictions against
    score: float  # out-of-fold
    folder: Path


def read(name: str) -> Stored:
    """The latest experiment of a config.

    Raises:
        UserError: never trained, a cell is gone, or the code has changed since.
    """
    folder = (files.runs() / name / "latest").resolve()
    if not (folder / "experiment.json").exists():
        raise UserError(
            f"There is no trained experiment {name!r} ({folder} is not there). Run `./run.sh train {name}` first."
        )
    value = files.read_json(folder / "experiment.json")
    config = from_tables(value["name"], value["config"], str(folder / "config.toml"))
    by_label = {model.label: model for model in config.models}
    plan = []
    for entry in value["cells"]:
        depends = files.runs() / "cells" / entry["key"] / "depends.json"
        if not depends.with_name("done.json").exists():
            raise UserError(
                f"{depends.parent} is gone, but the experiment {name!r} needs it. Run `./run.sh train {name}` again."
            )
        plan.append(_stored_cell(by_label[entry["label"]], config, entry, files.read_json(depends)))
    _refuse_changed_code(config, plan, name)
    return Stored(
        config=config,
        plan=plan,
        levels={column: tuple(values) for column, values in value["levels"].items()},
        blend=Blend(value["blend"]["method"], tuple(value["blend"]["labels"]), _weights(value["blend"]["weights"])),
        grids=[None if grid is None else Grid(**grid) for grid in value["grids"]],
        expected=[Expected(**target) for target in value["expected"]],
        score=value["scores"][-1][1][-1],
        folder=folder,
    )


def _stored_cell(model: ModelConfig, config: Config, entry: dict[str, Any], depends: dict[str, Any]) -> Cell:
    """A recorded cell; its precision is the one it was trained with, where the config left that open."""
    used = depends["train"].get("precision", model.train.precision)
    model = replace(model, train=replace(model.train, precision=used))
    return Cell(model, config.features.scaler, entry["fold"], entry["seed"], depends)


def _weights(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)


def _refuse_changed_code(config: Config, plan: list[Cell], name: str) -> None:
    """Weights applied with other code than they were trained with would be wrong in silence."""
    features = config.features.weights_depend_on()
    for cell in plan:
        model, engine = cells.sources_of(cell.model), cells.engine_of(cell.model)
        then = (cell.depends["features"], cell.depends["model"]["sources"], cell.depends["engine"])
        if then != (features, model, engine):
            raise UserError(
                f"The code of the features, {cell.model.label} or the engine is not what {name!r} was trained with. "
                f"Run `./run.sh train {name}` again."
            )
