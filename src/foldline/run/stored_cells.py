"""Finished cells under runs/cells, and what a cell that is still to be trained differs in from the nearest of them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from foldline.core import artefacts, files
from foldline.core.dotted_names import flat
from foldline.run.cells import Cell

FEW = 4  # keys in which an experiment may differ from one on other data and still be a version of it
SAME = ("model.name", "fold.number", "seed")  # what a stored cell must share with a cell to be compared with it


class StoredCells:
    """What the finished cells depend on, by model name, fold number and seed. Each depends.json is read once."""

    def __init__(self) -> None:
        self._depends: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
        for path in sorted((files.runs() / "cells").glob("*/done.json")):
            try:
                depends = flat(artefacts.read_json(path.parent / "depends.json"))
            except artefacts.Damaged:
                continue  # only messages need it
            self._depends[_place(depends)].append(depends)

    def differing_keys(self, cell: Cell) -> list[str]:
        """Return the dotted keys in which a cell differs from the nearest stored one of its model, fold and seed.

        Empty where there is none: then the cell is simply new. One of other data that differs in more than a few keys
        beside belongs to another competition, and is not compared.
        """
        mine = flat(cell.depends)
        nearest: list[str] = []
        for other in self._depends.get(_place(mine), ()):
            differing = sorted(name for name in mine.keys() | other.keys() if mine.get(name) != other.get(name))
            if "data.fingerprint" in differing and len(differing) > FEW:
                continue
            if differing and (not nearest or len(differing) < len(nearest)):
                nearest = differing
        return nearest


def _place(depends: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(depends.get(name) for name in SAME)
