"""All that training changes: averages against a slow reference, and checkpoints that hold every bit of it."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lab import TRAIN, checkpoint
from torch import nn

from foldline.fit.train_config import TrainConfig, WatchConfig
from foldline.fit.training_state import State

CPU = torch.device("cpu")
FULL = replace(TRAIN, ema=0.9, watch=WatchConfig(share=0.1, best=True))


def state(config: TrainConfig = FULL, seed: int = 0) -> State:
    torch.manual_seed(seed)
    return State(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1)), config, CPU)


def walk(some: State, steps: int) -> list[list[torch.Tensor]]:
    """Random steps, each one averaged; the weights after each."""
    seen = []
    for _ in range(steps):
        some.optimiser.zero_grad()
        for parameter in some.network.parameters():
            parameter.grad = torch.randn_like(parameter)
        some.optimiser.step()
        some.average()
        seen.append([parameter.detach().clone() for parameter in some.network.parameters()])
    return seen


def averaged(some: State) -> list[torch.Tensor]:
    assert some.averaged is not None
    return [parameter.detach() for parameter in some.averaged.parameters()]


@pytest.mark.parametrize("decay", [0.2, 0.999])
def test_ema_forgets_the_first_weights_soon_and_then_keeps_its_decay(decay: float) -> None:
    some = state(replace(TRAIN, ema=decay))
    seen = walk(some, 6)
    expected = seen[0]
    for count in range(1, 6):
        kept = min(decay, (1 + count) / (10 + count))
        expected = [kept * mean + (1 - kept) * now for mean, now in zip(expected, seen[count], strict=True)]
    torch.testing.assert_close(averaged(some), expected)


def test_average_is_the_plain_mean() -> None:
    some = state(replace(TRAIN, average=4))
    means = [torch.stack(each).mean(dim=0) for each in zip(*walk(some, 4), strict=True)]
    torch.testing.assert_close(averaged(some), means)


def test_who_predicts() -> None:
    plain, mean, best = state(TRAIN), state(replace(TRAIN, average=2)), state()
    assert plain.predictor is plain.network is plain.final
    assert mean.predictor is mean.network  # nothing is averaged yet
    mean.average()
    assert mean.predictor is mean.averaged is mean.final
    assert best.final is best.best


def test_a_checkpoint_holds_everything(tmp_path: Path) -> None:
    told, asked = state(), state(seed=1)
    walk(told, 3)
    told.best.load_state_dict(told.network.state_dict())
    told.total += torch.tensor([0.1, 0.7])
    told.counters.epoch, told.counters.best_score = 4, 0.1 + 0.2
    told.counters.history.append({"epoch": 4, "loss": 1 / 3})
    told.save(tmp_path)
    assert asked.load(tmp_path) and asked.counters == told.counters
    before, after = (some._tensors() for some in (told, asked))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    both = []
    for some in (told, asked):  # and so is the way on
        torch.manual_seed(7)
        both.append(walk(some, 2))
    assert all(torch.equal(a, b) for one, other in zip(*both, strict=True) for a, b in zip(one, other, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(averaged(told), averaged(asked), strict=True))


def test_the_loss_scale_of_fp16_is_kept(tmp_path: Path) -> None:
    told, asked = (state(replace(FULL, precision="fp16")) for _ in range(2))
    told.loss_scale.load_state_dict({**told.loss_scale.state_dict(), "scale": 123.0, "_growth_tracker": 77})
    told.save(tmp_path)
    asked.load(tmp_path)
    assert asked.loss_scale.state_dict() == told.loss_scale.state_dict()
    assert asked.loss_scale.get_scale() == 123.0


def test_without_a_checkpoint_nothing_is_changed(tmp_path: Path) -> None:
    some = state()
    assert not some.load(tmp_path) and some.counters == state().counters


def test_a_full_disk_leaves_the_last_good_checkpoint_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    some = state()
    walk(some, 1)
    some.save(tmp_path)
    good = (tmp_path / "checkpoint.safetensors").read_bytes()
    walk(some, 1)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        some.save(tmp_path)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == good
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    assert checkpoint(tmp_path).keys() == some._tensors().keys()


def test_weights_on_disk_are_those_in_memory(tmp_path: Path) -> None:
    some: Any = state()
    walk(some, 2)
    some.save(tmp_path)
    stored = checkpoint(tmp_path)
    for prefix, network in (("network", some.network), ("averaged", some.averaged), ("best", some.best)):
        for name, value in network.state_dict().items():
            assert stored[f"{prefix}.{name}"].tobytes() == value.numpy().tobytes()
