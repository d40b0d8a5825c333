"""The stable recurrence: its limits hold whatever is learned, states forget at a rate, truncation does little."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks import truncation
from foldline.models.blocks import lstm, stable
from foldline.models.probes import receptive_field, truncated


def make(**table: Any) -> stable.Stable:
    """A causal block of 8 units whose weights have been pushed far beyond the limits."""
    torch.manual_seed(0)
    block = stable.Stable(stable.Config(width=8, bidirectional=False, **table), 3)
    with torch.no_grad():
        block.cells[0].weight *= 5.0
    return block


def series(steps: int) -> Tensor:
    return torch.randn(16, steps, 3, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def gaps(block: stable.Stable, states: int, steps: int) -> Tensor:
    """(steps,) largest distance of the outputs of two runs that begin with different states."""
    starts = torch.randn(2, states, 16, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x, cell = series(steps).double(), block.cells[0].double()
    return (cell(x, starts[0]) - cell(x, starts[1])).norm(dim=2).amax(dim=0)


@pytest.mark.parametrize(("cell", "states"), [("rnn", 1), ("lstm", 2)])
def test_the_initial_state_is_forgotten_at_a_constant_rate(cell: str, states: int) -> None:
    gap = gaps(make(cell=cell, bound=0.9), states, 41)
    rate = (gap[40] / gap[10]) ** (1 / 30)  # lambda, estimated
    assert rate < 0.9 + 1e-6
    constant = gap[10] / rate**10
    assert (gap[10:] <= 3 * constant * rate ** torch.arange(10.0, 41.0)).all()


@torch.no_grad()
def test_an_rnn_contracts_in_every_single_step() -> None:
    gap = gaps(make(cell="rnn", bound=0.9), 1, 30)
    assert (gap[1:] <= 0.9 * gap[:-1] * (1 + 1e-6)).all()


def test_singular_values_are_cut_and_the_others_kept() -> None:
    torch.manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(3, 3))[0] for _ in range(2))
    weight = (left * torch.tensor([2.0, 0.5, 0.1])) @ right
    torch.testing.assert_close(stable.clip_singular_values(weight, 0.9), (left * torch.tensor([0.9, 0.5, 0.1])) @ right)
    torch.testing.assert_close(stable.clip_singular_values(0.4 * weight, 0.9), 0.4 * weight)


def test_rows_are_scaled_down_only() -> None:
    weight = torch.tensor([[3.0, -1.0], [0.1, 0.1], [0.0, 0.0]])
    within = stable.clip_row_norms(weight, torch.tensor([[0.4], [0.4], [0.4]]))
    torch.testing.assert_close(within, torch.tensor([[0.3, -0.1], [0.1, 0.1], [0.0, 0.0]]))


def test_an_lstms_rows_obey_proposition_2() -> None:
    cell = make(forget=0.64, bound=0.9).cells[0]
    sums = stable.clip_row_norms(cell.weight, cell.limits).abs().sum(dim=1).view(4, 8).amax(dim=1)
    torch.testing.assert_close(sums, 0.9 * torch.tensor([0.36, 0.36**2, 0.36 / 4, 0.36]))  # i, f, z, o


@torch.no_grad()
def test_an_lstm_step_is_its_formula() -> None:
    cell, x = make(forget=0.5).cells[0], series(5)[:1]
    weight = stable.clip_row_norms(cell.weight, cell.limits)
    state, memory, states = torch.zeros(8), torch.zeros(8), []
    for step in x[0]:
        write, forget, candidate, output = (cell.project(step) + weight @ state).chunk(4)
        memory = 0.5 * forget.sigmoid() * memory + write.sigmoid() * candidate.tanh()
        state = output.sigmoid() * memory.tanh()
        states.append(state)
    torch.testing.assert_close(cell(x, None)[0], torch.stack(states))


def test_gradients_pass_the_cut() -> None:
    weight = torch.randn(3, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(stable.clip_singular_values(weight, 0.1).sum(), weight)
    assert torch.equal(slope, torch.ones(3, 3))


@torch.no_grad()
def test_a_truncated_model_is_the_model_on_the_last_steps_alone() -> None:
    torch.manual_seed(0)
    block, x = lstm.LSTM(lstm.Config(width=4), 3), series(9)
    answer = truncated(partial(block, mask=None), x, 3)
    for step in range(9):
        alone = block(x[:, max(0, step - 2) : step + 1], None)[:, -1]
        torch.testing.assert_close(answer[:, step], alone)
    for whole in (9, 20):
        torch.testing.assert_close(truncated(partial(block, mask=None), x, whole), block(x, None))


@torch.no_grad()
def test_truncation_costs_a_stable_recurrence_a_constant_times_lambda_to_the_k() -> None:
    block, x = make(cell="rnn", bound=0.7), series(60)
    run = partial(block, mask=None)
    whole = run(x)
    errors = [float((truncated(run, x, k) - whole).norm(dim=2).max()) for k in (5, 10, 20)]
    for k, error in zip((5, 10, 20), errors, strict=True):
        assert error <= 8**0.5 * 0.7**k + 1e-6  # a state of 8 numbers in [-1, 1] against none
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("steps", [1, 5, 20, 80])
def test_a_feed_forward_twin_sees_the_last_steps_and_is_as_large(steps: int) -> None:
    torch.manual_seed(0)
    twin = truncation.twin_of(steps, 67_000).eval()
    assert abs(truncation.size(twin) - 67_000) < 0.1 * 67_000
    x = torch.randn(1, 90, 5, generator=torch.Generator().manual_seed(1))
    assert receptive_field(partial(truncation.predict, twin), x, 85) == list(range(85 - steps + 1, 86))


def test_nothing_can_be_truncated_to_no_step() -> None:
    with pytest.raises(ValueError, match="steps must be at least 1, the output's own, but is 0"):
        truncated(lambda x: x, series(3), 0)


@pytest.mark.parametrize("table", [{"bound": 1.0}, {"bound": 0.0}, {"forget": 1.0}])
def test_impossible_tables_are_refused(table: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be between 0 and 1, but is"):
        stable.Config(**table)
