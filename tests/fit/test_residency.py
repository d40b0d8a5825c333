"""Where features are while they are trained on: as the config says, or by the memory that is free."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lab import EVERYTHING, TRAIN, exhaust, fitted, small_store, weights

from foldline.fit import residency
from foldline.fit.labelled_series import labelled_series
from foldline.fit.network_cell import NetworkCell
from foldline.fit.window_config import TrainingWindowsConfig

CPU = torch.device("cpu")
WINDOWS = TrainingWindowsConfig(length=3, stride=2, loss="centre", predict=4)


def free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(residency, "free_bytes", lambda device: count)


def test_auto_goes_by_the_memory_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 8 << 20)
    assert residency.decide(TRAIN, 1 << 20, CPU) == (True, "")
    resident, why = residency.decide(TRAIN, (1 << 20) + 1, CPU)
    assert not resident and why.startswith("its features would take 1.0 MiB, and 8.0 MiB of the machine's memory")


def test_what_the_config_says_is_done_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 0)
    assert residency.decide(replace(TRAIN, resident="on"), 1 << 40, CPU) == (True, "")
    free(monkeypatch, 1 << 50)
    assert residency.decide(replace(TRAIN, resident="off"), 1, CPU) == (False, "")


def test_free_memory_is_that_of_the_machine() -> None:
    assert 1 << 20 < residency.free_bytes(CPU) < 1 << 60


@pytest.mark.parametrize("train", [TRAIN, replace(EVERYTHING, shuffle="blocks"), replace(EVERYTHING, windows=WINDOWS)])
def test_the_result_is_the_same_to_the_last_bit(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 0)
    data, said = small_store(static=True), list[str]()

    def emit(kind: str, **values: Any) -> None:
        said.extend([values["text"]] if kind == "note" else [])

    on, off, auto = (fitted(data, train=replace(train, resident=how), emit=emit) for how in ("on", "off", "auto"))  # type: ignore[arg-type]
    assert weights(on) == weights(off) == weights(auto)
    assert on.predict(data, np.arange(10))[0].tobytes() == off.predict(data, np.arange(10))[0].tobytes()
    assert len(said) == 1 and "batches are read from the store (train.resident)" in said[0]


def test_a_killed_training_goes_on_from_the_store_to_the_same_bits(tmp_path: Path) -> None:
    train = replace(EVERYTHING, checkpoint_s=0.0, resident="off", windows=WINDOWS)
    data = small_store(static=True)
    whole = fitted(data, train=train)

    def cell(how: Any, folder: Path) -> tuple[NetworkCell, Any]:
        made = NetworkCell("hybrid", whole.params, replace(train, resident=how), whole.scaler, whole.metric)
        return made, made.fit(
            [labelled_series(data, np.array([0, 1, 3, 4, 7, 8, 9]))], 0, lambda kind, **_: None, folder
        )

    _, killed = cell("off", tmp_path)
    for _ in range(4):
        next(killed)
    killed.close()
    again, rest = cell("on", tmp_path)  # where they are may change meanwhile
    exhaust(rest)
    assert weights(again) == weights(whole)


def test_cells_that_take_turns_come_out_as_alone(tmp_path: Path) -> None:
    train = replace(TRAIN, resident="off", windows=WINDOWS)
    data, series = small_store(), np.arange(10)
    alone = [fitted(data, seed=seed, train=train, series=series) for seed in (0, 1)]
    cells = [NetworkCell("hybrid", each.params, train, each.scaler) for each in alone]
    turns = []
    for seed, cell in enumerate(cells):
        (tmp_path / str(seed)).mkdir()
        turns.append(cell.fit([labelled_series(data, series)], seed, lambda kind, **_: None, tmp_path / str(seed)))
    while turns:
        turns = [turn for turn in turns if next(turn, "end") != "end"]
    assert [weights(cell) for cell in cells] == [weights(each) for each in alone]


def test_a_store_larger_than_memory_is_named_with_what_makes_it_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 1 << 20)
    assert residency.decide(TRAIN, 1 << 30, CPU)[1].endswith('train.shuffle = "blocks" reads a disk faster')
    assert residency.decide(replace(TRAIN, shuffle="blocks"), 1 << 30, CPU)[1].endswith("(train.resident)")
    assert residency.decide(TRAIN, 1 << 19, CPU)[1].endswith("(train.resident)")
