"""[train]: schedules by hand, and what `auto` stands for. Values that are refused: experiment/test_bad_config.py."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from foldline.fit.train_config import TrainConfig, WatchConfig, lr_factor


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", {0: 0.5, 1: 1.0, 50: 1.0, 99: 1.0}),
        ("plateau", {0: 0.5, 1: 1.0, 50: 1.0, 99: 1.0}),  # what the watched score makes of it comes on top
        ("flat-cosine", {0: 0.5, 74: 1.0, 75: 1.0, 87: 0.531395, 100: 0.0}),
        ("cosine", {0: 0.5, 1: 1.0, 51: 0.5, 100: 0.0}),
        # 98 steps behind the warm-up in 4 cosines of 24.5: a step before each restart the rate is all but 0
        ("restarts", {0: 0.5, 2: 1.0, 14: 0.516028, 26: 0.001027, 27: 0.998973, 51: 1.0, 75: 0.001027, 99: 0.004104}),
    ],
)
def test_the_learning_rate_by_hand(schedule: str, expected: dict[int, float]) -> None:
    config = TrainConfig(schedule=schedule, watch=WatchConfig(share=0.1))
    factors = {step: lr_factor(config, step, 100) for step in expected}  # warm-up: 2 steps
    assert factors == pytest.approx(expected, abs=1e-4)


def test_restarts_begin_as_many_cosines_as_the_config_says() -> None:
    config = TrainConfig(schedule="restarts", cycles=3)
    factors = [lr_factor(config, step, 302) for step in range(6, 302)]
    assert sum(later > earlier for earlier, later in pairwise(factors)) == 2


@pytest.mark.parametrize("schedule", ["cosine", "flat-cosine", "constant", "restarts", "plateau"])
@pytest.mark.parametrize("steps", [1, 2, 3, 49, 1000])
def test_every_step_of_any_length_has_a_rate(schedule: str, steps: int) -> None:
    config = TrainConfig(schedule=schedule, watch=WatchConfig(share=0.1))
    factors = [lr_factor(config, step, steps) for step in range(steps)]
    assert all(0 < factor <= 1 and math.isfinite(factor) for factor in factors) and max(factors) == 1.0


def test_a_gpu_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, used in ((True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert TrainConfig().device_used == used
        assert TrainConfig().is_deterministic == (used == "cpu")
    assert TrainConfig(device="cpu").device_used == "cpu"


@pytest.mark.parametrize(("setting", "expected"), [("auto", True), ("on", True), ("off", False)])
def test_deterministic_is_the_default_on_the_cpu(setting: str, expected: bool) -> None:
    assert TrainConfig(device="cpu", deterministic=setting).is_deterministic is expected
