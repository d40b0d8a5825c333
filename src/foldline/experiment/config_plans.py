"""The configs of an experiment with their cells and members: what experiment.json says of them, and reading it back.

An experiment of several configs (`blend`) has several `ConfigPlan`s, on the same data and folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foldline.core import artefacts, files
from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.ensemble.members import OUT_OF_FOLD, Member, of_plan, read_outside
from foldline.experiment import python_copies, runs_index
from foldline.experiment.config import Config, from_tables
from foldline.run import cell_keys, cells
from foldline.run.cells import Cell, ModelConfig


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
            {"name": one.config.name, "prefix": one.prefix, "config": python_copies.recorded(one.config)}
            for one in config_plans
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
        plan = _linked([_stored_cell(by_label[entry["label"]], config, entry, folder) for entry in entries])
        if to_predict:
            _refuse_changed_code(config, plan, folder)
        config_plans.append(ConfigPlan(config, plan, table["prefix"]))
    return config_plans, [_from_outside(entry) for entry in value["outside"]]


def _linked(plan: list[Cell]) -> list[Cell]:
    """Give cells the estimator's cells whose channels they read."""
    by_key = {cell.key: cell for cell in plan}
    return [
        replace(cell, channels=by_key[cell.depends["channels"]]) if "channels" in cell.depends else cell
        for cell in plan
    ]


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
    only_past = config.folds.kind == "time" and entry["fold"] is not None
    return Cell(model, config.features.scaler, entry["fold"], entry["seed"], inputs, start, only_past=only_past)


def _pretrained(model: ModelConfig, config: Config, key: str, seed: int) -> Cell | None:
    """Read the pre-trained cell whose weights a cell started from; None where it is gone: only a report shows it."""
    depends = files.runs() / "cells" / key / "depends.json"
    if cells.damage(depends.parent):
        return None
    inputs = artefacts.read_json(depends)
    first = replace(model, teacher=None, pretrain=None, masked_copies=0)
    pretraining_store = files.runs() / "store" / inputs["data"]["store"]
    return Cell(first, config.features.scaler, None, seed, inputs, pretraining_store=pretraining_store)


def _refuse_changed_code(config: Config, plan: Sequence[Cell], folder: Path) -> None:
    """Refuse weights that were trained with other code: their predictions would be wrong without any error."""
    of_config = config.features.weights_depend_on()
    for cell in plan:
        features = {} if cell.model.fitted_as == "estimator" else of_config
        model, engine = cells.sources_of(cell.model), cells.engine_of(cell.model)
        then = (cell.depends["features"], cell.depends["model"]["sources"], cell.depends["engine"])
        if then != (features, model, engine):
            raise UserError(
                f"The code of the features, {cell.model.label} or the engine is not what {config.name!r} was trained "
                f"with. Run `{runs_index.made_by(folder)}` again."
            )


def refuse_changed_facts(config_plan: ConfigPlan, store: Store, folder: Path) -> None:
    """Refuse weights whose features of a test table, those that its columns bring, are made by other code.

    store: of the test table. folder: of the experiment, for messages.

    Raises:
        UserError
    """
    for cell in config_plan.plan:
        if cell.depends["data"].get("facts") != cell_keys.of_facts(store).get("facts"):
            raise UserError(
                f"The code of the features that {config_plan.config.name!r} gets for its columns is not what it was "
                f"trained with. Run `{runs_index.made_by(folder)}` again."
            )
