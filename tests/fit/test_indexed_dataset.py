"""Batches that are read by an index: bit for bit those of series on the device, and windows by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import pytest
import torch
from lab import INSIDE, padded, small_store, with_features

from foldline.data.store import Store, StoredAuxiliary, StoredTask
from foldline.fit import device_block, device_dataset, scaler, training_windows
from foldline.fit.batch import Batch
from foldline.fit.indexed_dataset import IndexedDataset
from foldline.fit.labelled_series import LabelledSeries, labelled_series, unlabelled_series
from foldline.fit.row_sources import DeviceRows, StoredRows
from foldline.fit.training_windows import Windows
from foldline.fit.window_config import TrainingWindowsConfig, Weighting

CPU = torch.device("cpu")
LENGTHS = (2, 4, 6)
STEPS = np.arange(10) % 3  # known ones of each series


def holey() -> Store:
    """Series with missing features."""
    data = small_store(static=True)
    x = padded(data)
    x[np.random.default_rng(0).random(x.shape) < 0.4] = np.nan
    return with_features(data, x, missing=True)


def on_series() -> Store:
    """One answer a series."""
    data, rng = small_store(), np.random.default_rng(1)
    y, known = rng.normal(size=(10, 2)), np.ones((10, 2), dtype=bool)
    return replace(data, task=StoredTask(level="series"), y=y, known=known, scored=np.arange(10) < 8)


def with_auxiliary() -> Store:
    """An auxiliary target that is known in some rows."""
    data, rng = small_store(), np.random.default_rng(2)
    values = np.where(rng.random((len(data.scored), 1)) < 0.5, rng.normal(size=(len(data.scored), 1)), np.nan)
    described = StoredAuxiliary(name="heat", kind="regression", count=1, classes=0)
    return replace(data, auxiliary=(described,), auxiliary_y=values)


def half_labelled(data: Store) -> LabelledSeries:
    """Pseudo-labels of some rows, of other series."""
    part = labelled_series(data, np.array([6, 2, 5]))
    known = np.random.default_rng(3).random(part.known.shape) < 0.5
    return replace(part, known=known, weight=0.5 * part.weight * known.all(axis=1))


CASES: dict[str, Callable[[], list[LabelledSeries]]] = {
    "plain": lambda: [labelled_series(small_store(static=True), INSIDE)],
    "missing": lambda: [labelled_series(holey(), INSIDE)],
    "known start": lambda: [labelled_series(replace(small_store(), observed=2), INSIDE)],
    "known starts of their own": lambda: [
        labelled_series(replace(small_store(), observed=2, known_steps=STEPS), INSIDE)
    ],
    "whole series": lambda: [labelled_series(on_series(), INSIDE)],
    "auxiliary": lambda: [labelled_series(with_auxiliary(), INSIDE)],
    "two sets": lambda: [labelled_series(small_store(), INSIDE), half_labelled(small_store(seed=5))],
    "to predict": lambda: [unlabelled_series(small_store(), INSIDE)],
}


def equal(one: Batch, other: Batch) -> bool:
    """Whether two batches are the same, to the last bit; NaN is itself."""
    for name, value in vars(one).items():
        twin = getattr(other, name)
        if not isinstance(value, torch.Tensor):
            assert value == twin or (value is None and twin is None), name
        else:
            assert value.dtype == twin.dtype and value.shape == twin.shape, name
            assert value.numpy().tobytes() == twin.numpy().tobytes(), name
    return True


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("fill", ["zero", "forward"])
def test_batches_are_those_of_series_on_the_device(case: str, fill: Literal["zero", "forward"]) -> None:
    sets = CASES[case]()
    fitted = replace(scaler.fit("robust", labelled_store(sets), INSIDE, 0), fill=fill)
    resident = device_dataset.place(sets, fitted, LENGTHS, CPU)
    lengths = np.concatenate([part.store.lengths[part.series] for part in sets])
    streamed = IndexedDataset(sets, fitted, LENGTHS, training_windows.whole_series(lengths), StoredRows(sets), CPU)
    assert np.array_equal(streamed.block_of, resident.block_of) and len(streamed) == len(resident)
    assert streamed.codes == resident.codes
    torch.testing.assert_close(streamed.hidden, resident.hidden, rtol=0, atol=0, equal_nan=True)
    order = np.random.default_rng(0).permutation(len(resident))
    pairs = list(zip(resident.batches(order, 3, 1), streamed.batches(order, 3, 1), strict=True))
    assert all(equal(*parts) for one, other in pairs for parts in zip(one, other, strict=True)) and len(pairs) > 1
    for block, twin in zip(resident.blocks, streamed.blocks, strict=True):
        index = torch.arange(len(block))
        assert equal(block.batch(index), twin.batch(index)) and np.array_equal(block.places, twin.places)


def labelled_store(sets: list[LabelledSeries]) -> Store:
    return replace(sets[0].store, labelled=True)


def windowed(data: Store, loss: Weighting, where: str, fill: Literal["zero", "forward"] = "zero") -> IndexedDataset:
    """All series in windows of 4 steps."""
    config = TrainingWindowsConfig(length=4, stride=2, loss=loss, overlap=2)
    sets, fitted = [labelled_series(data, np.arange(10))], replace(scaler.fit("robust", data, INSIDE, 0), fill=fill)
    redrawn = partial(training_windows.for_training, data.lengths, config)
    rows = StoredRows(sets) if where == "store" else DeviceRows(sets, CPU)
    return IndexedDataset(sets, fitted, (2, 4), redrawn(0, 0), rows, CPU, redrawn, config)


def test_a_window_is_a_cut_of_its_series() -> None:
    data = small_store(static=True)
    fold = windowed(data, "flat", "device")
    fitted = scaler.fit("robust", data, INSIDE, 0)
    whole = device_block.place_block([labelled_series(data, np.arange(10))], fitted, 6, CPU)
    fold.windows = replace_first(fold.windows, 1)
    place = int(np.flatnonzero(fold.windows.series == 5)[0])
    ((batch,),) = fold.batches(np.array([place]), 1)
    assert torch.equal(batch.x[0], whole.x[5, 1:5]) and torch.equal(batch.y[0], whole.y[5, 1:5])
    assert torch.equal(batch.weight[0], whole.weight[5, 1:5]) and torch.equal(batch.scored[0], whole.scored[5, 1:5])
    assert torch.equal(batch.static[0], whole.static[5]) and batch.mask is not None and batch.mask.all()
    assert fold.series_of(np.array([place])).tolist() == [5]


def replace_first(windows: Windows, first: int) -> Windows:
    return Windows(windows.series, np.minimum(first, windows.lengths - windows.steps), windows.steps, windows.lengths)


@pytest.mark.parametrize("fill", ["zero", "forward"])
@pytest.mark.parametrize("loss", ["flat", "triangle", "centre"])
def test_windows_are_the_same_from_the_device_and_from_the_store(
    loss: Weighting, fill: Literal["zero", "forward"]
) -> None:
    one, other = (windowed(holey(), loss, where, fill) for where in ("device", "store"))
    for epoch in (0, 3):
        order = np.random.default_rng(epoch).permutation(len(one))
        batches = [fold.of_epoch(7, epoch).batches(order, 4) for fold in (one, other)]
        assert all(equal(*parts) for pair in zip(*batches, strict=True) for parts in zip(*pair, strict=True))


def test_only_the_centre_of_a_window_is_learned() -> None:
    data = small_store()
    flat, centre = (windowed(data, loss, "store") for loss in ("flat", "centre"))
    for (batch,), (other,) in zip(
        flat.batches(np.arange(len(flat)), 1), centre.batches(np.arange(len(flat)), 1), strict=True
    ):
        counted = other.weight > 0
        assert torch.equal(batch.weight * counted, other.weight) and torch.equal(batch.scored, other.scored)
        assert other.known is not None and other.has_unknown
    counted = [float(part.weight.sum()) for parts in centre.batches(np.arange(len(flat)), 9) for part in parts]
    assert 0 < sum(counted) < sum(float(part.weight.sum()) for (part,) in flat.batches(np.arange(len(flat)), 1))
