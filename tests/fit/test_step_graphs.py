"""CUDA graphs of a step: the same training as without, and what would break one is refused.

On a CPU a stand-in takes the place of the GPU's graph: it runs the step again on what lies in the graph's own batch,
and leaves results in the graph's own places. What is copied where, and when, is then all that can go wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from devices import device, each_device
from lab import TRAIN, planned
from steps import Lesson, full_store, lesson
from torch import Tensor

from foldline.core.errors import UserError
from foldline.fit import step_graphs, trainer
from foldline.fit.train_config import AugmentConfig, TrainConfig
from foldline.fit.training_state import State

CONV = {"width": 8, "dropout": 0.3, "embed": 2, "blocks": [{"kind": "conv"}]}
RECURRENT = {"width": 8, "dropout": 0.3, "embed": 2, "blocks": [{"kind": "bilstm"}, {"kind": "gru"}]}
pytestmark = pytest.mark.filterwarnings("ignore:.*eterministic:UserWarning")
RECIPE = replace(TRAIN, batch=4, ema=0.9, augment=AugmentConfig(mask_static=0.3, shuffle=0.5))


@pytest.fixture(autouse=True)
def stand_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Captures that were made; on a CPU by the stand-in."""
    made: list[int] = []
    honest = step_graphs.capture

    def capture(run: Callable[[], Tensor], pool: Any) -> tuple[Callable[[], None], Tensor]:
        made.append(1)
        state = current[0]
        if state.parameters[0].is_cuda:
            return honest(run, pool)
        with torch.random.fork_rng():
            loss = run().clone()
        places = [weight.grad for weight in state.parameters]

        def replay() -> None:
            loss.copy_(run())
            for place, weight in zip(places, state.parameters, strict=True):
                if place is not None and weight.grad is not None:
                    place.copy_(weight.grad)

        return replay, loss

    monkeypatch.setattr(step_graphs, "capture", capture)
    if not torch.cuda.is_available():
        monkeypatch.setattr(step_graphs, "graph_pool", lambda: "pool")
    current.clear()
    return made


current: list[State] = []


def learned(some: Lesson, epochs: int = 8) -> tuple[dict[str, Tensor], list[float]]:
    """Weights and losses after some epochs."""
    current[:] = [some.state]
    losses = [float(some.step(batch)) for epoch in range(epochs) for batch in some.batches(epoch)]
    return some.weights(), losses


@each_device
@pytest.mark.parametrize("params", [CONV, RECURRENT], ids=["conv", "recurrent"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_graphs_learn_what_steps_without_learn(
    name: str, params: dict[str, Any], precision: Any, stand_in: list[int]
) -> None:
    plain = replace(RECIPE, device=name, precision=precision, deterministic="on" if name == "cuda" else "auto")
    (expected, losses), (found, same) = (
        learned(lesson(device(name), replace(plain, graphs=graphs), params=params, data=full_store(), series=SEVEN))
        for graphs in (False, True)
    )
    assert len(stand_in) == 2  # batches of 4 and 3 series
    if name == "cpu":
        assert same == losses and all(torch.equal(found[key], expected[key]) for key in expected)
    else:
        torch.testing.assert_close(torch.tensor(same), torch.tensor(losses), rtol=1e-3, atol=1e-4)


SEVEN = torch.arange(7).numpy()


@each_device
def test_each_shape_has_its_own_graph_also_where_series_are_padded(name: str, stand_in: list[int]) -> None:
    """A batch has a part in each block of lengths: one shape for each number of series in each."""
    plain = replace(RECIPE, device=name, deterministic="on" if name == "cuda" else "auto")
    (expected, _), (found, _) = (
        learned(lesson(device(name), replace(plain, graphs=graphs), params=CONV)) for graphs in (False, True)
    )
    assert 1 <= len(stand_in) <= step_graphs.MOST
    for key in expected:
        torch.testing.assert_close(
            found[key], expected[key], rtol=0 if name == "cpu" else 1e-3, atol=0 if name == "cpu" else 1e-4
        )


def test_only_so_many_shapes_are_captured(stand_in: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_graphs, "MOST", 1)
    train = replace(RECIPE, graphs=True)
    found, _ = learned(lesson(torch.device("cpu"), train, params=CONV, data=full_store(), series=SEVEN))
    expected, _ = learned(
        lesson(torch.device("cpu"), replace(train, graphs=False), params=CONV, data=full_store(), series=SEVEN)
    )
    assert len(stand_in) == 1 and all(torch.equal(found[key], expected[key]) for key in expected)


def test_recurrent_layers_on_padded_series_are_refused_others_are_not() -> None:
    recurrent, plain = (lesson(torch.device("cpu"), params=params).state.network for params in (RECURRENT, CONV))
    step_graphs.refuse(recurrent, padded=False)
    step_graphs.refuse(plain, padded=True)
    with pytest.raises(UserError, match="read padded series by their lengths, which a CUDA graph would freeze"):
        step_graphs.refuse(recurrent, padded=True)


def test_what_breaks_a_graph_is_refused(rides: Any) -> None:
    for broken in ({"micro": 2}, {"on_oom": "halve"}):
        with pytest.raises(ValueError, match="graphs = true takes a batch in one pass: leave out micro and on_oom"):
            TrainConfig(graphs=True, **broken)
    with pytest.raises(UserError, match=r"train\.graphs = true needs an NVIDIA GPU, but the device is cpu"):
        planned("model.0.train.graphs=true")
    with pytest.raises(UserError, match=r"needs a process to itself, but executor\.together = 2 lets cells take turns"):
        planned("model.0.train.graphs=true", "executor.together=2")


def test_what_can_t_be_captured_is_a_users_error_and_full_memory_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Capture:
        def __init__(self, *given: Any, **how: Any) -> None: ...
        def __enter__(self) -> None: ...
        def __exit__(self, *why: Any) -> None:
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.undo()  # the honest capture
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: None)
    monkeypatch.setattr(torch.cuda, "graph", Capture)

    def fail(error: RuntimeError) -> Tensor:
        raise error

    with pytest.raises(UserError, match=r"can't be captured as a CUDA graph \(not permitted\)\. Set train\.graphs"):
        step_graphs.capture(lambda: fail(RuntimeError("not permitted\nmore")), None)
    with pytest.raises(UserError, match=r"\(RuntimeError\)"):
        step_graphs.capture(lambda: fail(RuntimeError()), None)
    with pytest.raises(torch.OutOfMemoryError):
        step_graphs.capture(lambda: fail(torch.OutOfMemoryError("CUDA out of memory")), None)


def test_they_are_in_the_key_where_they_are_on(rides: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = planned()[0]
    monkeypatch.setattr(TrainConfig, "refuse_device", lambda self: None)
    graphs = planned("model.0.train.graphs=true")[0]
    assert "graphs" not in plain.depends["train"] and graphs.depends["train"]["graphs"] is True
    assert planned("model.0.train.graphs=false")[0].key == plain.key


@each_device
def test_a_replay_draws_the_random_numbers_of_its_steps_seed(name: str, stand_in: list[int]) -> None:
    """The same batch again and again, by weights that stay as they are: dropout alone changes the loss."""
    how = "on" if name == "cuda" else "auto"
    train = replace(TRAIN, device=name, graphs=True, batch=7, lr=1e-30, weight_decay=0.0, deterministic=how)
    some = lesson(device(name), train, params=CONV, data=full_store(), series=SEVEN)
    current[:] = [some.state]
    batch, losses = next(some.batches()), []
    for number in [*range(8), 6]:
        trainer.reseed(device(name), number)
        losses.append(float(some.step(batch)))
    assert len(stand_in) == 1 and len(set(losses[:8])) == 8 and losses[8] == pytest.approx(losses[6], rel=1e-6)
