"""Predictions of windows put together to rows: every row once, weighed by place, whatever the passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from lab import INSIDE, TRAIN, fitted, small_store
from torch import Tensor

from foldline.data.store import Store
from foldline.fit import datasets, out_of_memory, scaler, stitching
from foldline.fit.labelled_series import unlabelled_series
from foldline.fit.network_cell import NetworkCell
from foldline.fit.stitching import AnyBlock
from foldline.fit.window_config import TrainingWindowsConfig, Weighting

CPU = torch.device("cpu")
CALM: dict[str, Any] = {"width": 4, "dropout": 0.0, "head": {"kind": "laplace"}}
CUT = TrainingWindowsConfig(length=4, predict=4, overlap=2)


def stitched(
    data: Store, windows: TrainingWindowsConfig, run: Any, kept: int = 99, series: np.ndarray | None = None
) -> np.ndarray:
    part = unlabelled_series(data, np.arange(len(data.lengths)) if series is None else series)
    train, fit = replace(TRAIN, windows=windows, batch=2), scaler.fit("robust", small_store(), INSIDE, 0)
    fold = datasets.to_predict(part, fit, (4,), kept, train, CPU)
    return stitching.predicted(fold, run, part, train)


def features(block: AnyBlock, index: Tensor) -> Tensor:
    """Predict a row by its own first features, so that windows agree."""
    return block.batch(index).x[..., :2]


def places(block: AnyBlock, index: Tensor) -> Tensor:
    """Predict each step by its place in its window."""
    x = block.batch(index).x
    return torch.arange(x.shape[1]).float().expand(len(x), -1).unsqueeze(-1)


@pytest.mark.parametrize("weight", get_args(Weighting))
def test_each_row_gets_its_own_prediction(weight: Weighting) -> None:
    data, fit = small_store(steps=30), scaler.fit("robust", small_store(), INSIDE, 0)
    found = stitched(data, replace(CUT, weight=weight), features)
    np.testing.assert_allclose(found, ((data.x - fit.center) / fit.scale)[:, :2], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ("flat", [0, 1, (2 + 0) / 2, (3 + 1) / 2, 2, 3]),
        ("centre", [0, 1, 2, 1, 2, 3]),
        ("triangle", [0, 1, (2 * 0.8 + 0 * 0.4) / 1.2, (3 * 0.4 + 1 * 0.8) / 1.2, 2, 3]),
    ],
)
def test_overlapping_windows_by_hand(weight: Weighting, expected: list[float]) -> None:
    # Two windows of 4 steps, the second begins with step 2: steps 2 and 3 are at places 2 and 3, and 0 and 1.
    data = small_store(series=6, steps=6)
    found = stitched(data, replace(CUT, weight=weight), places, series=np.array([5]))
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)


def test_cropped_rows_get_the_last_kept_prediction() -> None:
    data = small_store(series=6, steps=6)
    found = stitched(data, replace(CUT, weight="centre"), places, kept=5)
    assert found[-6:, 0].tolist() == [0, 1, 1.5, 2, 3, 3]  # windows begin with steps 0 and 1, of the first 5
    assert len(found) == len(data.scored)


@pytest.mark.parametrize(("predict", "most"), [(2, 16), (4, 16), (8, 8), (80, 1)])
def test_a_pass_takes_no_more_steps_than_four_batches_of_training(predict: int, most: int) -> None:
    data, sizes = small_store(series=120, steps=100), list[int]()

    def run(block: AnyBlock, index: Tensor) -> Tensor:
        sizes.append(len(index))
        return block.batch(index).x[..., :1]

    part = unlabelled_series(data, np.arange(120))
    train = replace(TRAIN, windows=TrainingWindowsConfig(length=4, predict=predict), batch=4)
    fold = datasets.to_predict(part, scaler.fit("none", data, INSIDE, 0), (predict,), 99, train, CPU)
    assert stitching.predicted(fold, run, part, train).shape == (len(data.scored), 1) and max(sizes) == most


def test_full_memory_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data, sizes = small_store(steps=30), list[int]()

    def small(block: AnyBlock, index: Tensor) -> Tensor:
        if len(index) > 3:
            raise torch.OutOfMemoryError("full")
        sizes.append(len(index))
        return places(block, index)

    monkeypatch.setattr(out_of_memory, "free_cache", lambda device: None)
    assert np.array_equal(stitched(data, CUT, small), stitched(data, CUT, places)) and max(sizes) <= 3


@pytest.mark.parametrize("weight", ["flat", "centre"])
def test_a_cell_predicts_long_series_it_was_trained_on_windows_of(weight: Weighting, tmp_path: Path) -> None:
    windows = TrainingWindowsConfig(length=5, stride=3, predict=8, overlap=3, weight=weight)
    data, longer = small_store(steps=9), small_store(steps=23, series=25)
    cell = fitted(data, train=replace(TRAIN, windows=windows, margin=1), params=CALM)
    assert cell.lengths[-1] == 5  # scored up to step 3, and a step of margin
    value, spread = cell.predict(longer, np.arange(25))
    assert value.shape == longer.y.shape and spread is not None and spread.shape == value.shape
    assert np.isfinite(value).all() and (spread > 0).all()
    cell.save(tmp_path)
    again = NetworkCell("hybrid", CALM, cell.train, cell.scaler)
    again.load(tmp_path, data)
    assert again.predict(longer, np.arange(25))[0].tobytes() == value.tobytes()
    for series in ([24], [3, 20]):
        alone = cell.predict(longer, np.array(series))[0]
        np.testing.assert_allclose(alone, value[longer.rows(np.array(series))], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weight", ["centre", "flat"])
def test_windows_give_what_whole_series_give_where_the_network_sees_no_further(weight: Weighting) -> None:
    # the block's two convolutions see 2 steps to either side: half of an overlap of 4
    data, params = small_store(steps=40, series=80), {"width": 4, "blocks": [{"kind": "conv", "kernel": 3}]}
    windows = TrainingWindowsConfig(length=9, predict=12, overlap=4, weight=weight)
    cell = fitted(data, train=replace(TRAIN, windows=windows), params=params)
    in_windows = cell.predict(data, np.arange(80))[0]
    cell.train, cell.lengths = TRAIN, (40,)
    whole = cell.predict(data, np.arange(80))[0]
    assert np.allclose(in_windows, whole, rtol=1e-5, atol=1e-5) == (weight == "centre")


def test_windows_longer_than_all_series_are_the_series() -> None:
    data = small_store()
    plain = fitted(data, params=CALM)
    cut = fitted(data, train=replace(TRAIN, windows=TrainingWindowsConfig(length=50)), params=CALM)
    values = [cell.predict(data, np.arange(10))[0] for cell in (plain, cut)]
    assert values[0].tobytes() == values[1].tobytes()


def sums(series: int, steps: int, seed: int) -> Store:
    """Series whose target is the sum of all inputs so far, of which a step forgets a tenth."""
    x = np.random.default_rng(seed).normal(size=(series, steps)).astype(np.float32)
    y = np.zeros((series, steps))
    for step in range(1, steps):
        y[:, step] = 0.9 * y[:, step - 1] + x[:, step]
    rows = series * steps
    return replace(
        small_store(series=series, features=1),
        lengths=np.full(series, steps),
        x=x.reshape(rows, 1),
        y=y.reshape(rows, 1),
        known=np.ones((rows, 1), dtype=bool),
        scored=np.ones(rows, dtype=bool),
    )


@pytest.mark.slow  # twenty seconds
@pytest.mark.learned
def test_few_long_series_are_learned_in_windows_and_predicted_in_longer_ones() -> None:
    train, test, every = sums(8, 1000, 0), sums(4, 2000, 1), np.arange(8)
    params = {"width": 8, "blocks": [{"kind": "gru", "bidirectional": False}]}
    plain = replace(TRAIN, epochs=12, batch=4, lr=1e-2)
    cut = TrainingWindowsConfig(length=100, overlap=0, weight="flat")
    whole = fitted(train, train=plain, params=params, series=every)
    cell = fitted(train, train=replace(plain, windows=cut), params=params, series=every)

    def error(made: NetworkCell) -> float:
        return float(np.abs(made.predict(test, np.arange(4))[0] - test.y).mean())

    constant, of_whole, without_overlap = np.abs(test.y - np.median(test.y)).mean(), error(whole), error(cell)
    cell.train = replace(plain, windows=replace(cut, overlap=50, weight="centre"))
    with_overlap = error(cell)
    assert with_overlap < 0.2 * constant and with_overlap < 0.3 * of_whole  # measured: 0.08 and 0.11
    assert with_overlap < 0.8 * without_overlap  # measured: 0.53; a window begins without what came before it
