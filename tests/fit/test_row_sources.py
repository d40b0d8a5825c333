"""Features of windows from the store and from the device, and the thread that reads ahead."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from lab import INSIDE, padded, small_store

from foldline.fit import row_sources
from foldline.fit.labelled_series import labelled_series
from foldline.fit.row_sources import DeviceRows, StoredRows, ahead
from foldline.fit.training_windows import Windows

CPU = torch.device("cpu")


@pytest.mark.parametrize("where", ["store", "device"])
def test_rows_of_windows_by_hand(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_sources, "BYTES_PER_CHUNK", 1)  # a row at a time
    one, other = small_store(), small_store(seed=4)
    sets = [labelled_series(one, INSIDE), labelled_series(other, np.array([5, 4]))]
    rows = StoredRows(sets) if where == "store" else DeviceRows(sets, CPU)
    steps, first = np.array([3, 2, 4]), np.array([1, 0, 2])
    read = rows.read(Windows(np.array([2, 8, 7]), first, steps, np.array([4, 5, 6])), 4)
    assert read.shape == (3, 4, 3) and read.dtype == torch.float32
    for values, (store, series), begin, count in zip(
        read, ((one, 3), (other, 4), (other, 5)), first, steps, strict=True
    ):
        assert np.array_equal(values[:count], padded(store)[series, begin : begin + count])
        assert not values[count:].any()


def test_what_a_thread_reads_comes_in_order_and_only_a_little_ahead() -> None:
    called: list[int] = []

    def call(number: int) -> int:
        called.append(number)
        return number

    results = ahead(partial(call, number) for number in range(9))
    assert next(results) == 0 and max(called) <= 1
    assert next(results) == 1 and max(called) <= 2
    assert list(results) == list(range(2, 9)) == called[2:]
    assert list(ahead([])) == []


def test_an_error_of_the_thread_is_raised_where_its_result_is_wanted() -> None:
    def fail() -> int:
        raise OSError("the disk is gone")

    results = ahead([lambda: 1, fail])
    assert next(results) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)
