"""Batch normalisation is refused where its statistics would be those of another batch, or of other weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from torch import nn

from foldline.core.errors import UserError
from foldline.fit import batch_statistics
from foldline.fit.train_config import TrainConfig
from foldline.models.ops.normalisation import RealBatchNorm

NETWORK = nn.Sequential(nn.Linear(2, 2), RealBatchNorm(2))
TRAIN = TrainConfig(batch=8)


@pytest.mark.parametrize(
    ("changes", "lengths", "message"),
    [
        ({"processes": 2}, (), r"model 'net': train\.processes = 2, but the network has batch normalisation"),
        ({"micro": 4}, (), r"train\.micro = 4, .* would be those of each pass's part of a batch\. Take another norm"),
        ({"on_oom": "halve"}, (), r'train\.on_oom = "halve", .*, or train\.on_oom = "stop"\.'),
        (
            {"ema": 0.9},
            (),
            r"train\.ema = 0\.9, .* those of other weights than the averaged ones.*, or train\.ema = 0\.",
        ),
        ({"average": 2}, (), r"train\.average = 2"),
        ({}, (20, 80), r"series are padded to 2 lengths \(20 to 80 steps\), .*padded to the same length"),
    ],
)
def test_what_splits_a_batch_or_averages_weights_is_refused(
    changes: dict[str, Any], lengths: tuple[int, ...], message: str
) -> None:
    config = replace(TRAIN, **changes)
    with pytest.raises(UserError, match=message):
        batch_statistics.refuse("model 'net'", NETWORK, config, lengths)
    batch_statistics.refuse("model 'net'", NETWORK[0], config, lengths)


@pytest.mark.parametrize("micro", [0, 8, 9])
def test_a_batch_in_one_pass_is_taken(micro: int) -> None:
    batch_statistics.refuse("model 'net'", NETWORK, replace(TRAIN, micro=micro), (80,))
