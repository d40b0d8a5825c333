"""Members of a blend: a model's cells, or predictions that were made elsewhere. To a blend they look the same.

A *part* is what one config brings: an experiment of several configs has several, on the same data and folds.
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
from foldline.blend.members import OUT_OF_FOLD, Member, of_plan
from foldline.core import files
from foldline.core.errors import UserError
from foldline.data.target_grid import Grid
from foldline.data.target_range import Expected
from foldline.experiment import records
from foldline.experiment.config import Config, from_tables
from foldline.experiment.scoring import Result
from foldline.run import cells
from foldline.run.cells import Cell, ModelConfig
from foldline.run.ledger import Origin


@dataclass(frozen=True)
class Part:
    """One config of an experiment and its cells."""

    config: Config
    plan: list[Cell]
    prefix: str = ""  # of its members' labels, where there are several parts

    @property
    def members(self) -> list[Member]:
        """One a model, in the config's order."""
        return of_plan(self.plan, self.prefix)


def to_json(parts: Sequence[Part], others: Sequence[Member]) -> dict[str, Any]:
    """What experiment.json says of its members; `from_json` reads it. others: from outside."""
    return {
        "parts": [{"name": part.config.name, "prefix": part.prefix, "config": part.config.tables()} for part in parts],
        "cells": [
            {"part": number, "label": cell.model.label, "fold": cell.fold, "seed": cell.seed, "key": cell.key}
            for number, part in enumerate(parts)
            for cell in part.plan
        ],
        "outside": [
            {
                "label": member.label,
                "source": member.source,
                "tests": {print_: str(path.relative_to(files.runs())) for print_, path in member.tests.items()},
            }
            for member in others
        ],
    }


def from_json(value: dict[str, Any], where: str, applied: bool = True) -> tuple[list[Part], list[Member]]:
    """Parts and members from outside.

    Args:
        where: the file, for messages.
        applied: the weights are to predict, not only what they predicted to be read.

    Raises:
        UserError: a cell is gone, or (applied) the code has changed since.
    """
    parts = []
    for number, table in enumerate(value["parts"]):
        config = from_tables(table["name"], table["config"], where)
        by_label = {model.label: model for model in config.models}
        entries = [entry for entry in value["cells"] if entry["part"] == number]
        plan = [_stored_cell(by_label[entry["label"]], config, entry) for entry in entries]
        if applied:
            _refuse_changed_code(config, plan)
        parts.append(Part(config, plan, table["prefix"]))
    return parts, [_from_outside(entry) for entry in value["outside"]]


def _from_outside(entry: dict[str, Any]) -> Member:
    """A recorded member from outside; without out-of-fold rows where those are gone, as in a bundle."""
    tests = {print_: files.runs() / path for print_, path in entry["tests"].items()}
    known = [path for path in (test.with_name(OUT_OF_FOLD) for test in tests.values()) if path.exists()]
    rows = files.read_array(known[0], mapped=True) if known else None
    return Member(entry["label"], source=entry["source"], rows=rows, tests=tests)


def _stored_cell(model: ModelConfig, config: Config, entry: dict[str, Any]) -> Cell:
    """A recorded cell; its precision is the one it was trained with, where the config left that open."""
    depends = files.runs() / "cells" / entry["key"] / "depends.json"
    if not depends.with_name("done.json").exists():
        raise UserError(
            f"{depends.parent} is gone, but the experiment {config.name!r} needs it. Run `./run.sh train "
            f"{config.name}` again."
        )
    known = files.read_json(depends)
    used = known["train"].get("precision", model.train.precision)
    model = replace(model, train=replace(model.train, precision=used))
    start = _pretrained(model, config, known["start"], entry["seed"]) if "start" in known else None
    return Cell(model, config.features.scaler, entry["fold"], entry["seed"], known, start)


def _pretrained(model: ModelConfig, config: Config, key: str, seed: int) -> Cell | None:
    """The cell whose weights a recorded one began with; None where it is gone: nothing but a report asks for it."""
    depends = files.runs() / "cells" / key / "depends.json"
    if not depends.with_name("done.json").exists():
        return None
    known = files.read_json(depends)
    first = replace(model, teacher=None, pretrain=None)
    pretraining_store = files.runs() / "store" / known["data"]["store"]
    return Cell(first, config.features.scaler, None, seed, known, pretraining_store=pretraining_store)


def _refuse_changed_code(config: Config, plan: Sequence[Cell]) -> None:
    """Weights applied with other code than they were trained with would be wrong in silence."""
    features = config.features.weights_depend_on()
    for cell in plan:
        model, engine = cells.sources_of(cell.model), cells.engine_of(cell.model)
        then = (cell.depends["features"], cell.depends["model"]["sources"], cell.depends["engine"])
        if then != (features, model, engine):
            raise UserError(
                f"The code of the features, {cell.model.label} or the engine is not what {config.name!r} was trained "
                f"with. Run `./run.sh train {config.name}` again."
            )


def folder_of(config: Config, plan: Sequence[Cell], test: str, others: Sequence[Member] = ()) -> Path:
    """runs/NAME/HASH: the same experiment has the same folder."""
    tables = config.tables()
    what = [tables["blend"], tables["post"], config.data.metric, sorted(cell.key for cell in plan), test]
    what += [sorted(member.source for member in others)] if others else []
    return files.runs() / config.name / files.digest(what)


def origin(config: Config, plan: Sequence[Cell], folder: Path, test: str, score: float) -> Origin:
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
    folder: Path,
    config: Config,
    parts: Sequence[Part],
    others: Sequence[Member],
    result: Result,
    levels: dict[str, Any],
    expected: list[Expected],
) -> None:
    """Write experiment.json and config.toml, and point `latest` here: what `infer` reads, and what reproduces it.

    Args:
        config: the experiment's name, [data], [blend] and [post].
        others: members from outside.
    """
    value = {
        "format": records.FORMAT,
        "name": config.name,
        "config": config.tables(),
        **to_json(parts, others),
        "levels": {name: list(values) for name, values in levels.items()},
        "blend": result.blend.to_json(),
        "grids": [None if grid is None else asdict(grid) for grid in result.grids],
        "expected": [asdict(target) for target in expected],
        "scores": [[name, values] for name, values in result.scores.items()],
        "interval": [None if np.isnan(end) else end for end in result.interval],
        "environment": environment(),
    }
    files.write_json(folder / "experiment.json", value)
    files.write_text(folder / "config.toml", tomli_w.dumps(config.tables()))
    files.replace_symlink(folder.parent / "latest", folder)


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
    parts: list[Part]
    others: list[Member]  # from outside
    levels: dict[str, tuple[object, ...]]
    blend: Blend
    grids: list[Grid | None]
    expected: list[Expected]  # (K,) what the gate holds predictions against
    score: float  # out-of-fold
    folder: Path

    @property
    def plan(self) -> list[Cell]:
        """All cells."""
        return [cell for part in self.parts for cell in part.plan]

    @property
    def members(self) -> list[Member]:
        """All members, in no order that matters: the blend names those it weighs."""
        return [member for part in self.parts for member in part.members] + self.others


def read(name: str, applied: bool = True) -> Stored:
    """The latest experiment of a config. applied: its weights are to predict, not only its predictions to be read.

    Raises:
        UserError: never trained, recorded by another version, a cell is gone, or the code has changed since.
    """
    folder = (files.runs() / name / "latest").resolve()
    if not (folder / "experiment.json").exists():
        raise UserError(
            f"There is no trained experiment {name!r} ({folder} is not there). Run `./run.sh train {name}` first."
        )
    value = files.read_json(folder / "experiment.json")
    records.refuse_other_format(value, folder)
    parts, others = from_json(value, str(folder / "experiment.json"), applied)
    return Stored(
        config=from_tables(value["name"], value["config"], str(folder / "config.toml")),
        parts=parts,
        others=others,
        levels={column: tuple(values) for column, values in value["levels"].items()},
        blend=Blend.from_json(value["blend"]),
        grids=[None if grid is None else Grid(**grid) for grid in value["grids"]],
        expected=[Expected(**target) for target in value["expected"]],
        score=value["scores"][-1][1][-1],
        folder=folder,
    )
