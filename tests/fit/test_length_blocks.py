"""Series padded to several lengths: each in a block of its own, batches in parts, and the results of one block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lab import EVERYTHING, INSIDE, TRAIN, exhaust, fitted, small_store, weights

from foldline.data.store import Store
from foldline.fit import device_dataset, network_build, network_predictor, padded_lengths, scaler, trainer
from foldline.fit.device_dataset import DeviceDataset
from foldline.fit.labelled_series import LabelledSeries, labelled_series, unlabelled_series
from foldline.fit.network_cell import NetworkCell
from foldline.fit.network_predictor import NetworkPredictor

CPU = torch.device("cpu")
CALM: dict[str, Any] = {"width": 4, "dropout": 0.0}
ALL = np.arange(10)


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a few steps of padding are too many."""
    monkeypatch.setattr(padded_lengths, "LITTLE_STEPS", 0)


def dataset(data: Store, lengths: tuple[int, ...], series: np.ndarray = ALL) -> DeviceDataset:
    fit = scaler.fit("robust", data, INSIDE, 0)
    return device_dataset.place([labelled_series(data, series)], fit, lengths, CPU)


def test_each_series_lies_in_the_block_of_the_next_length() -> None:
    data = small_store()  # of 1, 2, 3, 4, 5, 6, 1, 2, 3, 4 steps
    fold = dataset(data, (2, 4, 6))
    assert [block.x.shape[1] for block in fold.blocks] == [2, 4, 6] and len(fold) == 10
    assert fold.block_of.tolist() == [0, 0, 1, 1, 2, 2, 0, 0, 1, 1]
    whole = dataset(data, (6,)).blocks[0]
    for block in fold.blocks:
        steps = block.x.shape[1]
        for name in ("x", "y", "weight", "scored"):
            assert torch.equal(getattr(block, name), getattr(whole, name)[block.places, :steps])
    assert fold.blocks[0].mask is not None and fold.blocks[0].mask.sum(dim=1).tolist() == [1, 2, 1, 2]


def test_a_length_that_no_series_has_makes_no_block() -> None:
    assert [block.x.shape[1] for block in dataset(small_store(), (2, 6), np.array([4, 5])).blocks] == [6]


def seen(fold: DeviceDataset, order: Sequence[int], size: int, first: int = 0) -> list[list[list[float]]]:
    """First feature of the first step of each series, by batch and part."""
    batches = fold.batches(np.array(order), size, first)
    return [[part.x[:, 0, 0].tolist() for part in parts] for parts in batches]


def test_a_batch_has_a_part_in_each_block_that_holds_some_of_its_series() -> None:
    fold = dataset(small_store(), (2, 4, 6))
    x = {int(place): float(block.x[row, 0, 0]) for block in fold.blocks for row, place in enumerate(block.places)}
    order = [5, 0, 2, 9, 1, 7, 4]
    expected = [[[x[0]], [x[2]], [x[5]]], [[x[1], x[7]], [x[9]]], [[x[4]]]]
    assert seen(fold, order, 3) == expected
    assert seen(fold, order, 3, first=1) == expected[1:]  # where training goes on


def test_an_epoch_has_every_series_once_and_few_parts_a_batch() -> None:
    blocks = np.random.default_rng(0).integers(8, size=1003)
    orders = [trainer.shuffled(blocks, 32, 0, epoch) for epoch in (0, 1, 0)]
    assert all(sorted(order.tolist()) == list(range(1003)) for order in orders)
    assert np.array_equal(orders[0], orders[2]) and not np.array_equal(orders[0], orders[1])
    parts = [len(set(blocks[order[first : first + 32]])) for order in orders for first in range(0, 1003, 32)]
    assert np.mean(parts) < 2.5  # as they come it would be 7.9
    short_first = [blocks[order[:320]].mean() for order in orders[:2]]
    assert all(2.5 < mean < 4.5 for mean in short_first)  # no epoch begins with the short ones


def test_neighbours_that_are_read_together_stay_near_each_other() -> None:
    blocks = np.zeros(1003, dtype=int)
    orders = [trainer.shuffled(blocks, 8, 0, epoch, near=4) for epoch in (0, 1, 0)]
    assert all(sorted(order.tolist()) == list(range(1003)) for order in orders)
    assert np.array_equal(orders[0], orders[2]) and not np.array_equal(orders[0], orders[1])
    mixed = 4 * trainer.NEAR_BLOCKS
    runs = [{place // 4 for place in orders[0][first : first + mixed].tolist()} for first in range(0, 1003, mixed)]
    assert max(map(len, runs)) <= trainer.NEAR_BLOCKS + 1  # the last, shorter run may come at any time
    spread = [np.ptp(orders[0][first : first + mixed]) for first in range(0, 1003 - mixed, mixed)]
    assert min(spread) > 300  # of neighbours, but from all over the store


@pytest.mark.parametrize("train", [TRAIN, EVERYTHING], ids=["plain", "every option"])
def test_gradients_are_those_of_one_block(train: Any) -> None:
    data, fit = small_store(), scaler.fit("robust", small_store(), INSIDE, 0)
    found = []
    for lengths in ((6,), (1, 3, 6)):
        torch.manual_seed(0)
        network = network_build.network_of("hybrid", CALM, data, fit)
        state = trainer.State(network, train, CPU)
        loss = trainer.training_step(state, train, next(dataset(data, lengths).batches(ALL, 10)), 0.0)
        found.append((float(loss), {name: weight.grad for name, weight in network.named_parameters()}))
    (one, expected), (other, got) = found
    assert other == pytest.approx(one, rel=1e-5)
    for name, gradient in expected.items():
        torch.testing.assert_close(got[name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("several")
def test_predictions_are_those_of_one_block_and_lengths_are_kept(tmp_path: Path) -> None:
    data = small_store()
    cell = fitted(data, params=CALM)
    assert len(cell.lengths) > 2 and cell.lengths[-1] == 6
    values = cell.predict(data, ALL)[0]
    cell.save(tmp_path)
    again = NetworkCell("hybrid", CALM, TRAIN, cell.scaler)
    again.load(tmp_path, data)
    assert again.lengths == cell.lengths and np.array_equal(again.predict(data, ALL)[0], values)
    again.lengths = (6,)
    np.testing.assert_allclose(again.predict(data, ALL)[0], values, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("several")
def test_a_prediction_does_not_hang_on_the_other_series_of_its_file() -> None:
    data = small_store()
    cell = fitted(data, params={**CALM, "head": {"kind": "laplace"}})
    value, spread = cell.predict(data, ALL)
    assert spread is not None and spread.shape == value.shape
    for series in ([8], [0, 6], [9, 3]):
        alone, alone_spread = cell.predict(data, np.array(series))
        rows = data.rows(np.array(series))
        assert alone_spread is not None
        np.testing.assert_allclose(alone, value[rows], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(alone_spread, spread[rows], rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("several")
def test_a_later_scored_step_of_other_series_is_predicted() -> None:
    short, long = small_store(steps=3), small_store(steps=6)
    cell = fitted(short, params=CALM, series=ALL)
    assert cell.lengths[-1] == 3
    fold = device_dataset.place([unlabelled_series(long, ALL)], cell.scaler, cell.predictor.lengths_for(long), CPU)
    assert fold.blocks[-1].x.shape[1] == 6 and cell.predict(long, ALL)[0].shape == long.y.shape


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("train", [replace(TRAIN, checkpoint_s=0.0), replace(EVERYTHING, checkpoint_s=0.0)])
def test_a_killed_training_goes_on_to_the_same_bits(train: Any, tmp_path: Path) -> None:
    data, said = small_store(static=True), list[str]()
    whole = fitted(data, train=train, params={"width": 4})

    def steps() -> tuple[NetworkCell, Iterator[None]]:
        cell = NetworkCell("hybrid", whole.params, train, whole.scaler, whole.metric)
        return cell, cell.fit([labelled_series(data, INSIDE)], 0, lambda kind, **_: said.append(kind), tmp_path)

    _, killed = steps()
    for _ in range(4):
        next(killed)
    killed.close()
    again, rest = steps()
    exhaust(rest)
    assert said.count("resumed") == 1
    assert weights(again) == weights(whole) and again.lengths == whole.lengths and len(again.lengths) > 1


@pytest.mark.parametrize("head", ["l1", "laplace"])  # without and with a spread
@pytest.mark.parametrize("batch", [1, 2])
def test_series_of_one_length_are_predicted_part_by_part_to_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, head: str, batch: int
) -> None:
    ragged = small_store(series=30)
    row = ragged.rows(np.arange(5, 30, 6))  # five series of six steps, twice each
    twice = np.tile(row.reshape(5, 6), (2, 1)).ravel()
    data = replace(
        ragged,
        x=ragged.x[twice],
        y=ragged.y[twice],
        known=ragged.known[twice],
        scored=ragged.scored[twice],
        lengths=np.full(10, 6),
        static=np.zeros((10, 0), dtype=np.int64),
    )
    cell = fitted(data, params={**CALM, "head": {"kind": head}}, train=replace(TRAIN, batch=batch))
    whole, spread = cell.predict(data, ALL)
    passes: list[int] = []
    made = NetworkPredictor._predict

    def noted(self: NetworkPredictor, part: LabelledSeries) -> tuple[np.ndarray, np.ndarray | None]:
        passes.append(len(part.series))
        return made(self, part)

    monkeypatch.setattr(network_predictor, "PART_ROWS", 1)
    monkeypatch.setattr(NetworkPredictor, "_predict", noted)
    value, own = cell.predict(data, ALL)
    assert passes == [min(4 * batch, 10 - first) for first in range(0, 10, 4 * batch)] and np.array_equal(value, whole)
    assert own is None if spread is None else np.array_equal(own, spread)
    passes.clear()
    cell.predict(ragged, np.arange(30))
    assert passes == [30]  # of several lengths: together, because blocks hang on all of them
