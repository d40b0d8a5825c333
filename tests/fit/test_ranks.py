"""Processes that train one network: how a batch is split, that its gradients are the whole batch's, what is refused."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
import torch
from test_training_step import gradients, set_up
from torch import Tensor, distributed

from foldline.core.errors import UserError
from foldline.fit import ranks, trainer, training_step
from foldline.fit.batch import Batch
from foldline.fit.ranks import ALONE, GONE, PeerGone, Ranks
from foldline.fit.train_config import TrainConfig

TRAIN = TrainConfig(epochs=2, batch=3, device="cpu")


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes of a group take a step one after the other in this one: nothing is exchanged."""
    monkeypatch.setattr(Ranks, "mean", lambda self, value: value)


def parts_of(batch: Batch) -> list[Batch]:
    """The batch as one of series of two lengths."""
    return [batch.some(slice(0, 2)), batch.some(slice(2, len(batch.x)))]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_each_process_takes_its_series_and_no_other(count: int) -> None:
    _, batch = set_up(TRAIN)
    parts = parts_of(batch)
    own = [Ranks(rank, count).part_of(parts) for rank in range(count)]
    taken = [torch.cat([each.x for each in mine]) for mine in own if mine]
    assert torch.equal(torch.cat(taken), batch.x)
    sizes = [sum(len(each.x) for each in mine) for mine in own]
    assert max(sizes) - min(sizes) <= 1 and all(len(each.x) for mine in own for each in mine)
    assert all(len(each.y) == len(each.weight) == len(each.x) for mine in own for each in mine)


@pytest.mark.parametrize(("count", "micro"), [(2, 0), (3, 1), (9, 0)])
def test_gradients_and_loss_are_those_of_the_whole_batch(count: int, micro: int, one_by_one: None) -> None:
    """However uneven: 7 series of different weights for 2, 3 or 9 processes, of which two have none."""
    config = replace(TRAIN, micro=micro)
    whole, batch = set_up(config)
    batch = replace(batch, weight=batch.weight * torch.arange(1.0, 8.0)[:, None])
    loss = training_step.backward(whole, TRAIN, [batch])
    found: list[tuple[Tensor, Tensor]] = []
    for rank in range(count):
        state, _ = set_up(config)
        state.ranks = Ranks(rank, count)
        found.append((training_step.backward(state, config, parts_of(batch)), gradients(state)))
    torch.testing.assert_close(torch.stack([each for each, _ in found]).mean(), loss)
    torch.testing.assert_close(torch.stack([each for _, each in found]).mean(dim=0), gradients(whole))


def test_one_process_alone_exchanges_nothing() -> None:
    flags, value = (True, False), torch.ones(2)
    assert ALONE.first and ALONE.alone and ALONE.any(*flags) == flags and ALONE.mean(value) is value
    assert ALONE.from_first(flags) is flags and ALONE.gathered(flags) == [flags]
    assert ranks.of(4) == ranks.here() == ALONE
    with ranks.torchruns() as found:  # torchrun has not started this process
        assert found == ALONE


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[/third_party/gloo/transport/tcp/pair.cc:525] Connection closed by peer [127.0.0.1]:2"),
        distributed.DistBackendError("remote process exited"),
    ],
)
def test_a_process_ends_without_a_word_where_another_has_ended(error: RuntimeError) -> None:
    with pytest.raises(PeerGone) as ended, Ranks(0, 2).exchange():
        raise error
    assert ended.value.code == GONE
    with pytest.raises(RuntimeError, match=str(error)[-9:]), ALONE.exchange():
        raise error
    with pytest.raises(ZeroDivisionError), Ranks(0, 2).exchange():
        raise ZeroDivisionError


def test_a_process_whose_peer_is_gone_ends_when_the_launcher_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before: the launcher would take it for the one that has failed, and kill the one that has said why."""
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(ranks.time, "sleep", sleep)
    monkeypatch.setattr(ranks, "FIRST_ENDS_S", 1e9)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with pytest.raises(PeerGone), ranks.torchruns():
            raise PeerGone
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert len(waits) == 3


def test_full_memory_of_one_process_is_said_and_no_smaller_pass_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    state, batch = set_up(TRAIN)
    state.ranks, tried = Ranks(1, 2), []

    def full(*_: object) -> Tensor:
        tried.append(1)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(training_step, "backward", full)
    with pytest.raises(UserError, match=r"full in process 1 of 2\. Set a smaller train\.micro"):
        training_step.training_step(state, TRAIN, [batch], 1e-3)
    assert len(tried) == 1


def test_what_several_processes_can_not_train_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"this is one process alone\. Start them: \./run\.sh ddp --processes 4 CONFIG"):
        ranks.refuse_other_count(4)
    monkeypatch.setattr(ranks, "here", lambda: Ranks(0, 2))
    with pytest.raises(UserError, match="but there are 2"):
        ranks.refuse_other_count(4)
    ranks.refuse_other_count(2)
    ranks.refuse_other_count(1)
    for other in ({"compile": True}, {"graphs": True}, {"on_oom": "halve"}):
        with pytest.raises(ValueError, match="processes = 2 goes not with compile, graphs or on_oom"):
            replace(TRAIN, processes=2, **other)
    with pytest.raises(ValueError, match="processes must be at least 1"):
        replace(TRAIN, processes=0)


def test_processes_draw_dropout_for_their_own_series() -> None:
    draws = []
    for rank in range(2):
        trainer.reseed(torch.device("cpu"), 0, 1, 2, rank)
        draws.append(torch.rand(3))
    assert not torch.equal(*draws)
