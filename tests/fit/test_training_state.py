"""All that training changes: averages against a slow reference, and checkpoints that hold every bit of it."""

from __future__ import annotations

import copy
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


def test_with_early_stopping_average_is_the_mean_of_the_last_so_many(tmp_path: Path) -> None:
    """Any epoch may turn out to be the last one."""
    config = replace(TRAIN, average=3, watch=WatchConfig(share=0.1, stop=1))
    some, again = state(config), state(config, seed=1)
    seen: list[list[torch.Tensor]] = []
    for step in range(1, 7):
        seen += walk(some, 1)
        means = [torch.stack(each).mean(dim=0) for each in zip(*seen[-3:], strict=True)]
        torch.testing.assert_close(averaged(some), means)
        assert some.counters.averaged == min(step, 3) and some.predictor is some.averaged
        if step in (2, 4):  # a checkpoint holds what is averaged, before and after it is full
            some.save(tmp_path)
            assert again.load(tmp_path)
            some, again = again, some
            assert all(torch.equal(mine, theirs) for mine, theirs in zip(averaged(some), averaged(again), strict=True))


def test_moments_that_are_allocated_at_the_start_are_those_of_adamw_itself() -> None:
    some = state(replace(TRAIN, ema=0.0))
    network = copy.deepcopy(some.network)
    group = some.optimiser.param_groups[0]
    plain = torch.optim.AdamW(network.parameters(), lr=group["lr"], weight_decay=group["weight_decay"], fused=True)
    for _ in range(4):
        for mine, theirs in zip(some.parameters, network.parameters(), strict=True):
            mine.grad = torch.randn_like(mine)
            theirs.grad = mine.grad.clone()
        some.optimiser.step()
        plain.step()
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(some.parameters, network.parameters(), strict=True))
    mine, theirs = some.optimiser.state_dict(), plain.state_dict()
    assert mine["param_groups"] == theirs["param_groups"] and mine["state"].keys() == theirs["state"].keys()
    for number, moments in theirs["state"].items():
        assert moments.keys() == mine["state"][number].keys()
        assert all(torch.equal(value, mine["state"][number][name]) for name, value in moments.items())


def test_who_predicts() -> None:
    plain, mean, best = state(TRAIN), state(replace(TRAIN, average=2)), state()
    assert plain.predictor is plain.network is plain.final
    assert mean.predictor is mean.network  # nothing is averaged yet
    mean.average()
    assert mean.predictor is mean.averaged is mean.final
    assert best.final is best.best


def test_weights_of_copied_recurrent_layers_lie_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's libraries want that; on a CPU nothing is to be done, and it is seen that it would be."""
    flat: list[nn.Module] = []
    monkeypatch.setattr(nn.RNNBase, "flatten_parameters", lambda self: flat.append(self))
    network = nn.Sequential(nn.LSTM(1, 1), nn.Linear(1, 1), nn.GRU(1, 1))
    flat.clear()
    state = State(network, replace(TRAIN, ema=0.9, watch=WatchConfig(share=0.5, best=True)), torch.device("cpu"))
    copies = [state.averaged, state.best]
    assert all(some is not None and some[0] in flat and some[2] in flat for some in copies)  # type: ignore[index]


def test_a_checkpoint_holds_everything(tmp_path: Path) -> None:
    first, second = state(), state(seed=1)
    walk(first, 3)
    first.best.load_state_dict(first.network.state_dict())
    first.total += torch.tensor([0.1, 0.7])
    first.counters.epoch, first.counters.best_score = 4, 0.1 + 0.2
    first.counters.history.append({"epoch": 4, "loss": 1 / 3})
    first.save(tmp_path)
    assert second.load(tmp_path) and second.counters == first.counters
    before, after = (some._tensors() for some in (first, second))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    both = []
    for some in (first, second):  # and so is the way on
        torch.manual_seed(7)
        both.append(walk(some, 2))
    assert all(torch.equal(a, b) for one, other in zip(*both, strict=True) for a, b in zip(one, other, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(averaged(first), averaged(second), strict=True))


def test_the_loss_scale_of_fp16_is_kept(tmp_path: Path) -> None:
    first, second = (state(replace(FULL, precision="fp16")) for _ in range(2))
    first.loss_scale.load_state_dict({**first.loss_scale.state_dict(), "scale": 123.0, "_growth_tracker": 77})
    first.save(tmp_path)
    second.load(tmp_path)
    assert second.loss_scale.state_dict() == first.loss_scale.state_dict()
    assert second.loss_scale.get_scale() == 123.0


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
