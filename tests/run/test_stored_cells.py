"""Finished cells on disk: which is the nearest to a new one, and that each is read once however many are new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from foldline.core import artefacts, files
from foldline.run.cells import Cell
from foldline.run.stored_cells import StoredCells


def cell(fold: int | None = 0, seed: int = 0, name: str = "net", data: str = "print", **more: Any) -> Cell:
    """As much of a cell as what it depends on."""
    depends = {
        "data": {"fingerprint": data, "target": ["y"]},
        "model": {"name": name, "params": {"width": 4, "depth": 1}},
        "train": {"lr": 0.1, "epochs": 2},
        "fold": {"number": fold, "held_out": "a"},
        "seed": seed,
    }
    return Cell(None, "none", fold, seed, {**depends, **more})  # type: ignore[arg-type]


def store(*some: Cell) -> None:
    for each in some:
        files.write_json(each.folder / "depends.json", each.depends)
        files.write_json(each.folder / "done.json", {})


def test_the_nearest_of_the_same_model_fold_and_seed_is_compared(home: Path) -> None:
    store(
        cell(train={"lr": 0.2, "epochs": 5}),
        cell(train={"lr": 0.3, "epochs": 2}),
        cell(fold=1),
        cell(fold=None),
        cell(seed=1),
        cell(name="trees"),
    )
    stored = StoredCells()
    assert stored.differing_keys(cell()) == ["train.lr"]
    assert stored.differing_keys(cell(fold=1, train={"lr": 0.1, "epochs": 3})) == ["train.epochs"]
    assert stored.differing_keys(cell(fold=None, start="key")) == ["start"]  # a key that only one of them has
    assert stored.differing_keys(cell(fold=2)) == [] == stored.differing_keys(cell(name="other"))


def test_a_cell_that_is_not_finished_is_not_compared(home: Path) -> None:
    begun = cell(train={"lr": 0.2, "epochs": 2})
    files.write_json(begun.folder / "depends.json", begun.depends)
    assert StoredCells().differing_keys(cell()) == []


@pytest.mark.parametrize(("more", "differing"), [({}, ["data.fingerprint"]), ({"a": 1, "b": 2, "c": 3, "d": 4}, [])])
def test_a_cell_of_other_data_is_compared_where_it_differs_in_little_else(
    more: dict[str, Any], differing: list[str], home: Path
) -> None:
    store(cell(data="other", **more))
    assert StoredCells().differing_keys(cell()) == differing


def test_each_stored_cell_is_read_once_however_many_are_new(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(*(cell(fold, seed) for fold in range(4) for seed in range(5)))
    reads: list[Path] = []
    honest = artefacts.read_json
    monkeypatch.setattr(artefacts, "read_json", lambda path: (reads.append(path), honest(path))[1])
    stored = StoredCells()
    for fold in range(4):
        for seed in range(5):
            assert stored.differing_keys(cell(fold, seed, train={"lr": 0.5, "epochs": 2})) == ["train.lr"]
    assert len(reads) == len(set(reads)) == 20


def test_a_stored_cell_that_can_not_be_read_is_left_out(home: Path) -> None:
    near, far = cell(train={"lr": 0.2, "epochs": 2}), cell(train={"lr": 0.3, "epochs": 5})
    store(near, far)
    (near.folder / "depends.json").write_bytes(b"{")
    assert StoredCells().differing_keys(cell()) == ["train.epochs", "train.lr"]
