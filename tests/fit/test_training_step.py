"""The one training step: clipping at each precision, who takes it, and what stands for a past that is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from lab import INSIDE, PARAMS, TRAIN, small_store
from torch import Tensor, nn

from foldline.data.store import Store
from foldline.evidence.study import step_cost
from foldline.fit import device_block, labelled_series, network_build, scaler, step_time, training_step
from foldline.fit.batch import Batch
from foldline.fit.train_config import TrainConfig
from foldline.fit.training_state import State
from foldline.models.contract import Targets
from foldline.run.cells import ModelConfig

CPU = torch.device("cpu")
CALM = {**PARAMS, "dropout": 0.0}
AUTOREGRESSIVE: dict[str, dict[str, Any]] = {
    "deepar": {"width": 4, "layers": 1, "form": "autoregressive"},
    "seq2seq": {"width": 4, "autoregressive": True},
    "wavenet": {"width": 4, "layers": 2},
}


def set_up(
    train: TrainConfig, name: str = "hybrid", params: dict[str, Any] = CALM, data: Store | None = None
) -> tuple[State, Batch]:
    """A network before its first step, and a batch."""
    data = small_store() if data is None else data
    fit = scaler.fit("robust", data, INSIDE, 0)
    fold = device_block.place_block([labelled_series.labelled_series(data, INSIDE)], fit, 6, CPU)
    torch.manual_seed(0)
    state = State(network_build.network_of(name, params, data, fit), train, CPU)
    state.network.train()
    return state, fold.batch(torch.arange(len(fold)))


def gradients(state: State) -> Tensor:
    return torch.cat([weight.grad.flatten() for weight in state.parameters if weight.grad is not None])


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("share", [0.1, 10.0], ids=["clipped", "not clipped"])
def test_the_true_gradients_are_clipped_at_every_precision(share: float, precision: Any) -> None:
    """At fp16 the gradients of the scaled loss are some 65,536 times as long: it is not their norm that counts."""
    reference, batch = set_up(replace(TRAIN, clip=0.0))
    training_step.backward(reference, replace(TRAIN, clip=0.0), [batch])
    full = gradients(reference)
    clip = share * float(full.norm())
    config = replace(TRAIN, precision=precision, clip=clip)
    state, batch = set_up(config)
    training_step.training_step(state, config, [batch], 1e-3)
    torch.testing.assert_close(
        gradients(state), full * min(1.0, share), rtol=0.1, atol=0.05 * float(full.norm()) * share
    )
    assert float(gradients(state).norm()) == pytest.approx(min(clip, float(full.norm())), rel=0.05)


def test_nothing_is_clipped_where_that_is_off() -> None:
    config = replace(TRAIN, clip=0.0)
    (one, batch), (other, _) = (set_up(config) for _ in range(2))
    training_step.training_step(one, config, [batch], 1e-3)
    training_step.backward(other, config, [batch])
    assert torch.equal(gradients(one), gradients(other))


def test_probe_and_cost_study_take_the_trainers_step(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[float] = []
    honest = training_step.update

    def update(state: State, config: TrainConfig, rate: float) -> None:
        steps.append(config.clip)
        honest(state, config, rate)

    monkeypatch.setattr(training_step, "update", update)
    config = replace(TRAIN, clip=0.0, precision="fp16")
    step_time.seconds_a_step("hybrid", CALM, config, small_store())
    timed = len(steps)
    model = ModelConfig(name="hybrid", label="net", params=CALM, train=config)
    subject = step_cost.MeasuredModel(model=model, names=("a",), channels=1, levels=(), targets=Targets(count=1))
    (cost,) = step_cost.measure(subject, 2, [5])
    assert timed >= 2 and len(steps) >= timed + 2 and set(steps) == {0.0}
    assert cost.steps == 5 and cost.step_s > 0


# ---------------------------------------------------------------- the past that an autoregressive network reads


class AsItIs(nn.Module):
    """A head that predicts what it is given."""

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        return hidden

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        return raw


class Reader(nn.Module):
    """Notes what it is given as the past; predicts the step's number where it is given nothing."""

    takes_target = True

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[bool, Tensor | None]] = []
        self.head = AsItIs()

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None, y: Tensor | None = None) -> Tensor:
        self.given.append((self.training, y))
        return torch.arange(x.shape[1]).float().expand(len(x), -1).unsqueeze(-1)


def batch_of(known: Tensor | None, has_unknown: bool) -> Batch:
    """Two series of four steps, y = -1."""
    return Batch(
        x=torch.zeros(2, 4, 1),
        static=torch.zeros(2, 0, dtype=torch.long),
        mask=None,
        y=-torch.ones(2, 4, 1),
        weight=torch.ones(2, 4),
        scored=torch.ones(2, 4, dtype=torch.bool),
        known=known,
        has_unknown=has_unknown,
    )


def test_an_unknown_past_is_what_the_network_itself_predicts_there() -> None:
    network = Reader()
    known = torch.tensor([[True, True, False, False], [True, False, True, True]]).unsqueeze(-1)
    past = training_step._past_target(network, TRAIN, batch_of(known, True))["y"]
    assert past[..., 0].tolist() == [[-1, -1, 2, 3], [-1, 1, -1, -1]]
    assert network.given == [(False, None)] and network.training  # free running, without dropout


@pytest.mark.parametrize("known", [None, torch.ones(2, 4, 1, dtype=torch.bool)], ids=["no mask", "all"])
def test_a_known_past_is_read_as_it_is_and_costs_no_pass(known: Tensor | None) -> None:
    network, batch = Reader(), batch_of(known, False)
    assert training_step._past_target(network, TRAIN, batch)["y"] is batch.y and network.given == []
    assert training_step._past_target(nn.Linear(1, 1), TRAIN, batch) == {}


@pytest.mark.parametrize("name", AUTOREGRESSIVE)
def test_a_target_that_is_not_known_changes_no_gradient(name: str) -> None:
    """Whatever number stands for it: unlabelled steps carry 0, which is no past."""
    data = small_store()
    known, scored = data.known.copy(), data.scored.copy()
    known[data.step_of_answer == 1] = scored[data.step_of_answer == 1] = False  # the past of steps that are scored
    data, found = replace(data, known=known, scored=scored), []
    for value in (0.0, 1e3):
        state, batch = set_up(TRAIN, name, AUTOREGRESSIVE[name], data)
        assert batch.has_unknown and batch.known is not None and not batch.known.all()
        batch = replace(batch, y=torch.where(batch.known, batch.y, value))
        torch.manual_seed(3)  # of the sampled paths
        training_step.backward(state, TRAIN, [batch])
        found.append(gradients(state))
    assert torch.equal(*found) and bool(found[0].isfinite().all()) and bool((found[0] != 0).any())


@pytest.mark.parametrize("inside", [[5], [4, 5]], ids=["full", "padded"])
def test_a_two_phase_head_learns_nothing_of_a_scored_row_of_weight_0(inside: list[int]) -> None:
    """Also where every target is known, so that nothing else says that a step has no label."""
    data, params = small_store(), {**CALM, "head": {"kind": "twophase"}}
    weight = np.where(data.step_of_answer == 1, 0.0, 1.0)

    def learned(y: np.ndarray) -> Tensor:
        given = replace(data, y=y, weight=weight)
        fit = scaler.unscaled_targets(np.zeros(3), np.ones(3), given)
        part = labelled_series.labelled_series(given, np.array(inside))
        fold = device_block.place_block([part], fit, 6, CPU)
        torch.manual_seed(0)
        state = State(network_build.network_of("hybrid", params, given, fit), TRAIN, CPU)
        training_step.backward(state, TRAIN, [fold.batch(torch.arange(len(fold)))])
        return gradients(state)

    idle = (data.step_of_answer == 1)[:, None]
    assert torch.equal(learned(data.y), learned(data.y - 70 * idle))
    assert not torch.equal(learned(data.y), learned(data.y - 70 * ~data.scored[:, None]))  # those it does learn
