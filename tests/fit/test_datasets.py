"""How networks see a fold: which data set a config takes, and how many series, windows and batches an epoch has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from lab import INSIDE, TRAIN, fitted, small_store, weights

from foldline.core.errors import UserError
from foldline.fit import datasets, residency, scaler, step_time
from foldline.fit.device_dataset import DeviceDataset
from foldline.fit.indexed_dataset import IndexedDataset
from foldline.fit.labelled_series import labelled_series
from foldline.fit.row_sources import DeviceRows, StoredRows
from foldline.fit.window_config import TrainingWindowsConfig

CPU = torch.device("cpu")
CUT = replace(TRAIN, windows=TrainingWindowsConfig(length=4, stride=2, predict=5))


def to_train(train: Any) -> datasets.Dataset:
    data = small_store()
    return datasets.to_train([labelled_series(data, INSIDE)], scaler.fit("none", data, INSIDE, 0), train, 0, CPU)


def test_a_config_takes_the_data_set_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(to_train(TRAIN), DeviceDataset)
    streamed, resident, cut = (
        to_train(each) for each in (replace(TRAIN, resident="off"), CUT, replace(CUT, resident="off"))
    )
    for fold, rows in ((streamed, StoredRows), (resident, DeviceRows), (cut, StoredRows)):
        assert isinstance(fold, IndexedDataset) and isinstance(fold.rows, rows)
    assert len(streamed) == len(INSIDE) < len(resident) == len(cut)
    monkeypatch.setattr(residency, "free_bytes", lambda device: 0)
    assert isinstance(to_train(TRAIN), IndexedDataset)


def test_an_epoch_counts_windows() -> None:
    data = small_store()  # of 1, 2, 3, 4, 5, 6, 1, 2, 3, 4 steps: those of 5 and 6 are two windows of 4
    assert datasets.count_in_training(CUT, data, 10) == pytest.approx(12)
    assert datasets.count_in_training(CUT, data, 5) == pytest.approx(6)
    assert datasets.steps_in_training(TRAIN, data) == 6 and datasets.steps_in_training(CUT, data) == 4
    margin = replace(CUT, margin=0)  # scored up to step 3: all are one window
    assert datasets.count_in_training(margin, data, 10) == 10
    assert datasets.steps_in_training(replace(margin, windows=TrainingWindowsConfig(length=2)), data) == 2


def test_what_is_counted_is_what_is_trained() -> None:
    data = small_store()
    part = labelled_series(data, np.arange(10))
    fold = datasets.to_train([part], scaler.fit("none", data, INSIDE, 0), CUT, 0, CPU)
    assert len(fold) == datasets.count_in_training(CUT, data, 10)


def test_a_step_on_windows_is_timed() -> None:
    assert 0 < step_time.seconds_a_step("hybrid", {"width": 4}, CUT, small_store()) < 60


def test_pseudo_labelled_series_are_cut_too() -> None:
    data, other = small_store(), small_store(steps=9, seed=3)
    pseudo = labelled_series(other, np.arange(10))
    alone, both = fitted(data, train=CUT), fitted(data, train=CUT, labelled_sets=[pseudo])
    assert weights(alone) != weights(both) and both.lengths[-1] == 5


def test_full_memory_on_the_way_to_the_device_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any, **how: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(datasets, "DeviceRows", full)
    with pytest.raises(UserError, match=r'train\.resident = "off"'):
        to_train(replace(CUT, resident="on"))
