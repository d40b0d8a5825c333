"""Members of a blend: a model's cells, or predictions that were made elsewhere. To a blend they look the same.

A *part* is what one config brings: an experiment of several configs has several, on the same data and folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from foldline import cells, files
from foldline.cells import Cell, ModelConfig
from foldline.config import Config, from_tables
from foldline.errors import UserError
from foldline.store import Dense, pad, unpad

OUT_OF_FOLD = "out_of_fold.npy"  # of a member from outside, beside its test predictions


@dataclass(frozen=True)
class Member:
    """What a blend weighs. N training series, n test series, T steps, K targets."""

    label: str
    cells: tuple[Cell, ...] = ()
    source: str = ""  # hash of what came from outside
    rows: np.ndarray | None = None  # (training rows, K) out-of-fold predictions from outside
    tests: Mapping[str, Path] = field(default_factory=dict)  # test table's fingerprint -> predictions from outside

    def out_of_fold(self, dense: Dense) -> np.ndarray:
        """(N, T, K) predictions of the training series, each by models that never saw it."""
        if self.rows is not None:
            return pad(self.rows, dense.lengths, dense.x.shape[1])
        return cells.out_of_fold(list(self.cells), dense)

    def spread(self, dense: Dense) -> np.ndarray | None:
        """(N, T, K) expected absolute error of those, where the member's head knows it: mean over seeds."""
        held = [(cell, files.read_array(cell.folder / "held_out.npy")) for cell in self.cells]
        paths = {cells.spread_path(cell.folder / "out_of_fold.npy"): inside for cell, inside in held if len(inside)}
        if not paths or not all(path.exists() for path in paths):
            return None
        assert dense.y is not None, "labelled series are needed"
        total, count = np.zeros(dense.y.shape), np.zeros(len(dense.lengths))
        for path, inside in paths.items():
            total[inside] += files.read_array(path)
            count[inside] += 1
        return total / count[:, None, None]

    def test(self, dense: Dense, spread: bool = False) -> np.ndarray:
        """(rows, K) test predictions, or their spread: mean over folds and seeds.

        Raises:
            UserError: they were made elsewhere, and not for this file.
        """
        if not self.cells:
            return self._from_outside(dense.fingerprint)
        paths = [cells.test_path(cell, dense.fingerprint) for cell in self.cells]
        paths = [cells.spread_path(path) for path in paths] if spread else paths
        total = files.read_array(paths[0]).astype(np.float64)
        for path in paths[1:]:
            total += files.read_array(path, mapped=True)
        return unpad(total / len(paths), dense.lengths)

    def _from_outside(self, fingerprint: str) -> np.ndarray:
        path = self.tests.get(fingerprint)
        if path is None or not path.exists():
            raise UserError(
                f"The member {self.label!r} came from outside, and there are no predictions of it for this test file. "
                "Run `./run.sh blend` without it, or with its predictions for this file."
            )
        return files.read_array(path)


def of_plan(plan: Sequence[Cell], prefix: str = "") -> list[Member]:
    """One member a model, in the order of the plan."""
    labels = dict.fromkeys(cell.model.label for cell in plan)
    return [Member(prefix + label, tuple(cell for cell in plan if cell.model.label == label)) for label in labels]


def refuse_same_names(every: Sequence[Member]) -> None:
    """Two members of one name could not be told apart in tables, nor in what `infer` reads.

    Raises:
        UserError: naming them.
    """
    labels = [member.label for member in every]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise UserError(
            f"Members need different names, but {', '.join(twice)} comes twice: rename what is from outside."
        )


def labelled(labels: Sequence[str], members: Sequence[Member]) -> list[Member]:
    """The members of those labels, in that order."""
    by_label = {member.label: member for member in members}
    return [by_label[label] for label in labels]


def once(every: Sequence[Member]) -> list[Member]:
    """Members without copies: two configs of a blend may have a model in common."""
    found: dict[frozenset[str], Member] = {}
    for member in every:
        found.setdefault(frozenset(cell.key for cell in member.cells), member)
    return list(found.values())


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
    rehearsed = files.runs() / "store" / known["data"]["store"]
    return Cell(first, config.features.scaler, None, seed, known, rehearses=rehearsed)


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
