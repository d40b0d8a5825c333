"""How many passes of which shape an epoch has; counted by hand, and against the data set that training makes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from lab import TRAIN, small_store

from foldline.fit import datasets, epoch_shapes, padded_lengths, patches, scaler
from foldline.fit.epoch_shapes import Shape
from foldline.fit.labelled_series import labelled_series
from foldline.fit.patches import PatchesConfig
from foldline.fit.sample_config import SampleConfig
from foldline.fit.window_config import TrainingWindowsConfig

CONFIGS = {
    "whole": TRAIN,
    "cropped": replace(TRAIN, margin=0),
    "windows": replace(TRAIN, windows=TrainingWindowsConfig(length=4, stride=2)),
    "patches": replace(TRAIN, patches=PatchesConfig(rows=2)),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_shapes_are_those_of_the_data_set(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(padded_lengths, "LITTLE_STEPS", 0)  # several lengths
    config, data, series = CONFIGS[kind], small_store(series=20), np.arange(2, 19)
    part = labelled_series(data, series)
    part = patches.pooled(part, config.patches)
    fold = datasets.to_train([part], scaler.fit("none", data, series, 0), config, 0, torch.device("cpu"))
    made = [Shape(_steps(block), len(block), block.is_full) for block in fold.blocks]
    assert epoch_shapes.shapes(config, data, series) == made


def _steps(block: Any) -> int:
    return int(block.steps if hasattr(block, "steps") else block.x.shape[1])


class Padded:
    """A pass takes a second for each series and step."""

    def seconds(self, count: float, length: float) -> float:
        """Return the seconds of a pass."""
        return count * length


def test_a_curriculum_begins_with_the_short_ones() -> None:
    """In four epochs: 8 of the 4 short ones, then of a quarter, a half, three quarters more of the long ones."""
    every = [Shape(10, 4, True), Shape(100, 12, True)]
    config = replace(TRAIN, epochs=4, sample=SampleConfig(curriculum=1.0, shortest=0.25))
    shares = [0.25 + 0.75 * epoch / 4 for epoch in range(4)]
    costs = [(4 * 10 + (16 * share - 4) * 100) / share for share in shares]
    time: Any = Padded()
    assert epoch_shapes.training_s(time, every, config, 4) == pytest.approx(sum(costs))
    assert epoch_shapes.training_s(time, every, replace(TRAIN, epochs=4), 4) == 4 * (4 * 10 + 12 * 100)
