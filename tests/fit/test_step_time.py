"""What a step is timed on: series from all over the store, of the shape that most steps are in, at any size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lab import TRAIN, small_store

from foldline.fit import datasets, network_probe, padded_lengths, step_time
from foldline.fit.epoch_shapes import shapes
from foldline.fit.network_probe import NetworkProbe
from foldline.fit.pass_time import Size

CALM: dict[str, Any] = {"width": 4, "dropout": 0.0}


def test_a_step_is_timed_on_series_of_the_whole_store_padded_as_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    data = small_store(series=40)
    scored = data.scored & (data.series_of_answer >= 10)  # the first ones have no answers
    seen: list[tuple[list[int], int]] = []
    honest = datasets.place

    def place(sets: Any, fitted: Any, lengths: tuple[int, ...], *more: Any) -> Any:
        seen.append((sets[0].series.tolist(), len(lengths)))
        return honest(sets, fitted, lengths, *more)

    monkeypatch.setattr(datasets, "place", place)
    monkeypatch.setattr(padded_lengths, "LITTLE_STEPS", 0)
    config = replace(TRAIN, batch=4)
    step_time.seconds_a_step("hybrid", CALM, config, replace(data, scored=scored))
    ((series, lengths),) = seen
    steps = [shape.steps for shape in shapes(config, data, np.arange(40))]
    longest = [number for number in range(10, 40) if data.lengths[number] > steps[-2]]  # most steps are theirs
    assert series == longest and lengths == len(steps) > 1


@pytest.mark.parametrize("size", [Size(2, 3), Size(9, 6), Size(40, 2)])
def test_a_batch_has_any_size_and_a_mask_where_training_has_one(size: Size) -> None:
    data = small_store(static=True)
    probe = NetworkProbe("hybrid", CALM, TRAIN, data, shapes(TRAIN, data, np.arange(10)))
    batch = probe.batch(size)
    assert batch.x.shape[:2] == batch.y.shape[:2] == batch.weight.shape == tuple(size) and len(batch.static) == size[0]
    assert batch.mask is not None and batch.lengths is not None
    assert (batch.mask.sum(dim=1) == batch.lengths).all() and batch.lengths[-1] == size.length  # the longest is there
    probe.train(size)
    probe.predict(size)


def test_long_series_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many steps a series has: memory holds so many rows, and at least one series."""
    monkeypatch.setattr(network_probe, "MOST_ROWS", 12)
    assert len(network_probe.spread(small_store(), 12)) == 2 and len(network_probe.spread(small_store(), 1)) == 1
    data = small_store(series=30)
    probe = NetworkProbe("hybrid", CALM, TRAIN, data, shapes(TRAIN, data, np.arange(30)))
    assert probe.base.x.shape[:2] == (2, 6)
