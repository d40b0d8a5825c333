"""Which series a step is timed on: some from all over the store, as training pads them, and none without an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lab import TRAIN, small_store

from foldline.fit import datasets, padded_lengths, step_time

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
    step_time.seconds_a_step("hybrid", CALM, replace(TRAIN, batch=4), replace(data, scored=scored))
    ((series, lengths),) = seen
    assert series == np.linspace(10, 39, 4).astype(int).tolist() and lengths > 1
