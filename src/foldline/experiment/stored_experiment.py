"""One experiment's record under runs/NAME/HASH: written when it ends, read back to predict or to make its report.

experiment.json holds the config, the keys of the cells, the fitted blend, grids and scores; config.toml reproduces it.
An experiment of several configs (`blend`) has several `ConfigPlan`s, on the same data and folds.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from foldline.blend import Blend
from foldline.blend.decisions import Decisions
from foldline.blend.members import OUT_OF_FOLD, Member, of_plan, read_outside
from foldline.core import artefacts, files
from foldline.core.errors import UserError
from foldline.data import metrics
from foldline.data.column_facts import ColumnFacts
from foldline.data.loading import Competition
from foldline.data.metrics import UTILITIES_FILE
from foldline.data.target_grid import Grid
from foldline.data.target_range import TargetRange
from foldline.experiment import runs_index
from foldline.experiment.config import Config, from_tables
from foldline.experiment.scoring import Result
from foldline.run import cells
from foldline.run.cells import Cell, ModelConfig
from foldline.run.ledger import Origin


@dataclass(frozen=True)
class ConfigPlan:
    """One config of an experiment, and its cells."""

    config: Config
    plan: list[Cell]
    prefix: str = ""  # of its members' labels, where the experiment has several configs

    @property
    def members(self) -> list[Member]:
        """Return one member a model, in the config's order."""
        return of_plan(self.plan, self.prefix)


def to_json(config_plans: Sequence[ConfigPlan], outside_members: Sequence[Member]) -> dict[str, Any]:
    """Return what experiment.json says of configs, cells and members; `from_json` reads it back."""
    return {
        "parts": [
            {"name": one.config.name, "prefix": one.prefix, "config": recorded(one.config)} for one in config_plans
        ],
        "cells": [
            {"part": number, "label": cell.model.label, "fold": cell.fold, "seed": cell.seed, "key": cell.key}
            for number, one in enumerate(config_plans)
            for cell in one.plan
        ],
        "outside": [
            {
                "label": member.label,
                "source": member.source,
                "tests": {print_: str(path.relative_to(files.runs())) for print_, path in member.tests.items()},
            }
            for member in outside_members
        ],
    }


def from_json(value: dict[str, Any], folder: Path, to_predict: bool = True) -> tuple[list[ConfigPlan], list[Member]]:
    """Read configs with their cells, and members from outside.

    Args:
        value: an experiment.json.
        folder: where it lies, for messages.
        to_predict: the cells' weights will be used, not only the predictions that they stored.

    Raises:
        UserError: a cell is gone, or (to_predict) the code has changed since.
    """
    config_plans = []
    for number, table in enumerate(value["parts"]):
        config = from_tables(table["name"], table["config"], str(folder / "experiment.json"))
        by_label = {model.label: model for model in config.models}
        entries = [entry for entry in value["cells"] if entry["part"] == number]
        plan = [_stored_cell(by_label[entry["label"]], config, entry, folder) for entry in entries]
        if to_predict:
            _refuse_changed_code(config, plan, folder)
        config_plans.append(ConfigPlan(config, plan, table["prefix"]))
    return config_plans, [_from_outside(entry) for entry in value["outside"]]


def _from_outside(entry: dict[str, Any]) -> Member:
    """Read a member from outside; it has no out-of-fold rows where their file is gone, as in a bundle."""
    tests = {print_: files.runs() / path for print_, path in entry["tests"].items()}
    found = [path for path in (test.with_name(OUT_OF_FOLD) for test in tests.values()) if path.exists()]
    rows = read_outside(found[0], mapped=True) if found else None
    return Member(entry["label"], source=entry["source"], rows=rows, tests=tests)


def _stored_cell(model: ModelConfig, config: Config, entry: dict[str, Any], folder: Path) -> Cell:
    """Read a cell; where the config left the precision open, it is the one that the cell was trained with."""
    depends = files.runs() / "cells" / entry["key"] / "depends.json"
    if why := cells.damage(depends.parent):
        there = depends.with_name(cells.DONE).exists()
        raise UserError(
            f"{depends.parent} is {f'damaged ({why})' if there else 'gone'}, but the experiment {config.name!r} needs "
            f"it. Run `{runs_index.made_by(folder)}` again."
        )
    inputs = artefacts.read_json(depends)
    used = inputs["train"].get("precision", model.train.precision)
    model = replace(model, train=replace(model.train, precision=used))
    start = _pretrained(model, config, inputs["start"], entry["seed"]) if "start" in inputs else None
    return Cell(model, config.features.scaler, entry["fold"], entry["seed"], inputs, start)


def _pretrained(model: ModelConfig, config: Config, key: str, seed: int) -> Cell | None:
    """Read the pre-trained cell whose weights a cell started from; None where it is gone: only a report shows it."""
    depends = files.runs() / "cells" / key / "depends.json"
    if cells.damage(depends.parent):
        return None
    inputs = artefacts.read_json(depends)
    first = replace(model, teacher=None, pretrain=None)
    pretraining_store = files.runs() / "store" / inputs["data"]["store"]
    return Cell(first, config.features.scaler, None, seed, inputs, pretraining_store=pretraining_store)


def _refuse_changed_code(config: Config, plan: Sequence[Cell], folder: Path) -> None:
    """Refuse weights that were trained with other code: their predictions would be wrong without any error."""
    features = config.features.weights_depend_on()
    for cell in plan:
        model, engine = cells.sources_of(cell.model), cells.engine_of(cell.model)
        then = (cell.depends["features"], cell.depends["model"]["sources"], cell.depends["engine"])
        if then != (features, model, engine):
            raise UserError(
                f"The code of the features, {cell.model.label} or the engine is not what {config.name!r} was trained "
                f"with. Run `{runs_index.made_by(folder)}` again."
            )


def folder_of(config: Config, plan: Sequence[Cell], test: str, outside_members: Sequence[Member] = ()) -> Path:
    """Return runs/NAME/HASH: the same experiment has the same folder. test: fingerprint of the test table."""
    tables = config.tables()
    hashed = [tables["blend"], tables["post"], config.data.metric, sorted(cell.key for cell in plan), test]
    if config.data.has_metric_file or config.data.metric_options.changed():
        hashed.append({**metrics.key_of(*config.data.metric_choice(0)), "sources": []})
    hashed += [sorted(member.source for member in outside_members)] if outside_members else []
    return files.runs() / config.name / files.digest(hashed)


def origin(config: Config, plan: Sequence[Cell], folder: Path, test: str, score: float) -> Origin:
    """Make the ledger's entry for a submission of this experiment. test: fingerprint of the test table."""
    return Origin(
        config=config.name,
        config_hash=files.digest(recorded(config)),
        experiment=folder.name,
        cells=files.digest(sorted(cell.key for cell in plan)),
        test=test,
        out_of_fold=score,
        simulated=config.data.simulated,
    )


def write(
    folder: Path,
    config: Config,
    config_plans: Sequence[ConfigPlan],
    outside_members: Sequence[Member],
    result: Result,
    competition: Competition,
    expected: list[TargetRange],
) -> None:
    """Write experiment.json, which `read` reads, and config.toml, which reproduces it; point `latest` to the folder.

    Args:
        config: has the experiment's name, [data], [blend] and [post].
        competition: its tables: what training says of columns and labels is kept, for test tables to follow.
        expected: (K,) range and digits of each target, for the gate of later submissions.
    """
    value = {
        "format": runs_index.FORMAT,
        "name": config.name,
        "config": recorded(config),
        **({"metric_file": _copy_metric(config, folder)} if config.data.has_metric_file else {}),
        **to_json(config_plans, outside_members),
        "levels": {name: list(values) for name, values in competition.levels.items()},
        "classes": list(competition.train.classes),
        **({"columns": competition.train.facts.to_json()} if competition.train.facts.to_json() else {}),
        "blend": result.blend.to_json(),
        "grids": [None if grid is None else asdict(grid) for grid in result.grids],
        "decisions": result.decisions.to_json(),
        "expected": [asdict(target) for target in expected],
        "scores": [[name, _finite(values)] for name, values in result.scores.items()],
        "baselines": [[name, _finite(values)] for name, values in result.baselines.items()],
        "best_baseline": result.best_baseline,
        "lost_to_baseline": result.lost,
        "higher_is_better": result.rows.metric.higher_is_better,
        "interval": _finite(result.interval),
        "environment": environment(),
    }
    artefacts.write_json(folder / "experiment.json", value)
    files.write_text(folder / "config.toml", tomli_w.dumps(recorded(config)))
    files.replace_symlink(folder.parent / "latest", folder)


def _finite(values: Sequence[float]) -> list[float | None]:
    """Return scores as JSON has them: null where a metric is not defined, as an AUC on a fold of one class."""
    return [None if np.isnan(value) else value for value in values]


def recorded(config: Config) -> dict[str, Any]:
    """Return a config's tables as a record has them: a metric file lies beside the record, not where it was."""
    tables = config.tables()
    if config.data.has_metric_file:
        tables["data"] |= {"metric": Path(config.data.metric).name, "metric_folder": ""}
    return tables


def _copy_metric(config: Config, folder: Path) -> dict[str, Any]:
    """Copy the metric file beside the record, and return what the record says of it."""
    file = metrics.loaded(config.data.metric_choice(0))
    files.write_text(folder / file.path.name, file.text)
    if file.utilities.is_file():
        files.write_text(folder / file.utilities.name, file.utilities.read_text(encoding="utf-8"))
    return {"name": file.path.name, **file.key()}


def metric_files(folder: Path) -> list[Path]:
    """List the copies that a record has of its metric file, and of what that imports."""
    named = artefacts.read_json(folder / "experiment.json").get("metric_file", {}).get("name")
    return [path for path in (folder / named, folder / UTILITIES_FILE) if path.is_file()] if named else []


def _refuse_changed_metric(value: dict[str, Any], folder: Path) -> None:
    """Refuse a copy of a metric file that is not the one that the record was made with."""
    said = value.get("metric_file")
    if said is None:
        return
    path = folder / said["name"]
    if not path.is_file() or metrics.hash_of(path.read_text(encoding="utf-8")) != said["file"]:
        raise UserError(f"{path} is not the metric file that was used. Run `{runs_index.made_by(folder)}` again.")


def environment() -> dict[str, str]:
    """Return the versions on which the last bits of results depend."""
    from importlib.metadata import version

    names = ("torch", "numpy", "polars", "lightgbm")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: version(name) for name in names},
    }


@dataclass(frozen=True, kw_only=True)
class StoredExperiment:
    """An experiment that was read back: ready to predict new series, or to be reported."""

    config: Config
    config_plans: list[ConfigPlan]
    outside_members: list[Member]
    levels: dict[str, tuple[object, ...]]  # values of each static column in training
    classes: tuple[object, ...]  # labels of the target in training, where it has any
    facts: ColumnFacts  # of the columns in training
    blend: Blend
    grids: list[Grid | None]
    decisions: Decisions  # on the labels of predictions
    expected: list[TargetRange]  # (K,) what the gate compares predictions with
    score: float  # out-of-fold
    folder: Path

    @property
    def plan(self) -> list[Cell]:
        """Return all cells."""
        return [cell for one in self.config_plans for cell in one.plan]

    @property
    def members(self) -> list[Member]:
        """Return all members, in any order: the blend selects its own by label."""
        return [member for one in self.config_plans for member in one.members] + self.outside_members


def read(name: str, to_predict: bool = True) -> StoredExperiment:
    """Read the latest experiment of a config.

    Args:
        name: the config's.
        to_predict: the cells' weights will be used, not only the predictions that they stored.

    Raises:
        UserError: never trained, recorded by another version, a cell is gone, or (to_predict) the code has changed.
    """
    folder = (files.runs() / name / "latest").resolve()
    if not (folder / "experiment.json").exists():
        raise UserError(
            f"There is no trained experiment {name!r} ({folder} is not there). Run `./run.sh train {name}` first."
        )
    value = runs_index.read_record(folder)
    runs_index.refuse_other_format(value, folder)
    _refuse_changed_metric(value, folder)
    config_plans, outside_members = from_json(value, folder, to_predict)
    return StoredExperiment(
        config=from_tables(value["name"], value["config"], str(folder / "config.toml")),
        config_plans=config_plans,
        outside_members=outside_members,
        levels={column: tuple(values) for column, values in value["levels"].items()},
        classes=tuple(value.get("classes", ())),  # an older record has none
        facts=ColumnFacts.from_json(value.get("columns", {})),
        blend=Blend.from_json(value["blend"]),
        grids=[None if grid is None else Grid(**grid) for grid in value["grids"]],
        decisions=Decisions.from_json(value.get("decisions")),
        expected=[TargetRange(**target) for target in value["expected"]],
        score=value["scores"][-1][1][-1],
        folder=folder,
    )
