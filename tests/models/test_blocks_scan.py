"""Linear recurrences: every form is the step-by-step one; minGRU, minLSTM and LRU are their papers' formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from foldline.models.blocks import lru, mingru, minlstm
from foldline.models.ops import scan

GENERATOR = torch.Generator().manual_seed(0)


def slow(decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
    """h, number by number."""
    out = torch.empty_like(drive)
    for series in range(drive.shape[0]):
        for unit in range(drive.shape[2]):
            state = start[series, unit]
            for step in range(drive.shape[1]):
                state = decay[series, step, unit] * state + drive[series, step, unit]
                out[series, step, unit] = state
    return out


def in_logarithms(decay: Tensor, drive: Tensor, start: Tensor | None = None) -> Tensor:
    return scan.log_scan(decay.log(), drive.log(), start)


@pytest.mark.parametrize("form", [scan.sequential, scan.doubling, in_logarithms, scan.linear_recurrence])
@pytest.mark.parametrize("steps", [1, 2, 7, 16])
def test_every_form_is_the_recurrence(form: Callable[..., Tensor], steps: int) -> None:
    decay, drive = torch.rand(2, 2, steps, 3, dtype=torch.float64, generator=GENERATOR)
    start = torch.randn(2, 3, dtype=torch.float64, generator=GENERATOR)
    torch.testing.assert_close(form(decay, drive, start), slow(decay, drive, start))
    torch.testing.assert_close(form(decay, drive), slow(decay, drive, torch.zeros_like(start)))


@pytest.mark.parametrize("form", [scan.sequential, scan.doubling])
def test_states_may_be_complex(form: Callable[..., Tensor]) -> None:
    decay, drive = torch.randn(2, 2, 9, 3, dtype=torch.complex128, generator=GENERATOR)
    start = torch.randn(2, 3, dtype=torch.complex128, generator=GENERATOR)
    torch.testing.assert_close(form(decay, drive, start), slow(decay, drive, start))


def test_the_parallel_form_stays_finite_where_products_leave_float32() -> None:
    gate, candidate = torch.full((1, 2000, 1), 4.0), torch.randn(1, 2000, 1, generator=GENERATOR)
    gate.requires_grad_()
    parallel, stepwise = scan.gated_recurrence_log(gate, candidate), scan.gated_recurrence(gate, candidate)
    assert (1 - torch.tensor(4.0).sigmoid()) ** 2000 == 0  # what a plain product of decays comes to
    torch.testing.assert_close(parallel, stepwise, rtol=1e-3, atol=1e-3)
    (slope,) = torch.autograd.grad(parallel.sum(), gate)
    assert slope.isfinite().all()


def test_the_parallel_form_has_the_stepwise_forms_gradients() -> None:
    gate, candidate = torch.randn(2, 2, 20, 3, dtype=torch.float32, generator=GENERATOR)
    start = torch.randn(2, 3, generator=GENERATOR)
    slopes = []
    for form in (scan.gated_recurrence, scan.gated_recurrence_log):
        inputs = [value.clone().requires_grad_() for value in (gate, candidate, start)]
        slopes.append(torch.autograd.grad(form(*inputs).square().sum(), inputs))
    for stepwise, parallel in zip(*slopes, strict=True):
        torch.testing.assert_close(parallel, stepwise, rtol=1e-3, atol=1e-4)


def positive(value: Tensor) -> Tensor:
    return torch.where(value >= 0, value + 0.5, value.sigmoid())


either_form = pytest.mark.parametrize(
    "gated", [scan.gated_recurrence, scan.gated_recurrence_log], ids=["stepwise", "parallel"]
)


@torch.no_grad()
@either_form
def test_mingru_is_its_formula(gated: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mingru, "gated_recurrence", gated)
    torch.manual_seed(0)
    cell, x = mingru.Cell(3, 4), torch.randn(1, 6, 3)
    gate, candidate = cell.project(x[0]).chunk(2, dim=1)
    state, states = torch.zeros(4), []
    for step in range(6):
        update = gate[step].sigmoid()
        state = (1 - update) * state + update * positive(candidate[step])
        states.append(state)
    torch.testing.assert_close(cell(x, None)[0], torch.stack(states))


@torch.no_grad()
@either_form
def test_minlstm_is_its_formula(gated: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minlstm, "gated_recurrence", gated)
    torch.manual_seed(0)
    cell, x = minlstm.Cell(3, 4), torch.randn(1, 6, 3)
    forget, write, candidate = cell.project(x[0]).chunk(3, dim=1)
    state, states = torch.zeros(4), []
    for step in range(6):
        keep, take = forget[step].sigmoid(), write[step].sigmoid()
        state = (keep * state + take * positive(candidate[step])) / (keep + take)
        states.append(state)
    torch.testing.assert_close(cell(x, None)[0], torch.stack(states))


def make_lru(**table: float) -> lru.Cell:
    torch.manual_seed(0)
    return lru.Cell(lru.Config(width=16, bidirectional=False, **table), 3)


@torch.no_grad()
def test_an_lrus_impulse_response_is_a_power_of_lambda() -> None:
    cell, x = make_lru(), torch.zeros(1, 30, 3)
    x[0, 4, 1] = 1.0
    states, decay = cell.states(x)[0], cell.decay
    assert not states[:4].any()
    gain = (1 - decay.abs() ** 2).sqrt() * torch.complex(*cell.input.weight[:, 1].chunk(2))
    for later in (0, 1, 7, 25):
        torch.testing.assert_close(states[4 + later], gain * decay**later)


def test_lambda_begins_on_its_ring_and_stays_inside_the_circle_whatever_is_learned() -> None:
    cell = make_lru(radius_min=0.8, radius_max=0.9, phase_max=0.5)
    assert cell.decay.abs().min() >= 0.8 and cell.decay.abs().max() <= 0.9
    assert cell.decay.angle().min() >= 0 and cell.decay.angle().max() <= 0.5
    with torch.no_grad():
        cell.nu += 8 * torch.randn(16)
    assert (cell.decay.abs() <= 1).all()


@pytest.mark.parametrize("nu", [-40.0, -17.0, 0.0, 5.0])
def test_an_lrus_gradients_are_finite_where_lambda_rounds_to_1_or_0(nu: float) -> None:
    cell = make_lru()
    torch.nn.init.constant_(cell.nu, nu)
    states = cell.states(torch.randn(2, 6, 3))
    (slope,) = torch.autograd.grad(states.abs().square().sum(), cell.nu)
    assert states.isfinite().all() and slope.isfinite().all()
    assert nu > -17.0 or (states.abs() > 0).all()  # gamma is small, and not 0


@torch.no_grad()
def test_normalised_input_keeps_the_state_as_large_whatever_the_memory() -> None:
    sizes = []
    for radius in (0.5, 0.98):
        cell = make_lru(radius_min=radius, radius_max=radius + 0.001)
        white = torch.randn(64, 400, 3, generator=torch.Generator().manual_seed(1))
        sizes.append(float(cell.states(white)[:, 300:].abs().square().mean()))
    assert math.isclose(*sizes, rel_tol=0.1)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"radius_min": 0.9, "radius_max": 0.8}, "0 <= min < max < 1, but are 0.9 and 0.8"),
        ({"radius_max": 1.0}, "0 <= min < max < 1, but are 0.5 and 1.0"),
        ({"phase_max": 0.0}, r"phase_max must be in \(0, 2 pi\], but is 0.0"),
    ],
)
def test_impossible_lru_tables_are_refused(table: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lru.Config(**table)


def test_reversal_turns_each_series_within_its_own_length() -> None:
    x = torch.arange(8.0).view(2, 4, 1)
    mask = torch.tensor([[True] * 4, [True, True, True, False]])
    assert scan.reversed_steps(x, mask)[..., 0].tolist() == [[3, 2, 1, 0], [6, 5, 4, 7]]
    assert torch.equal(scan.reversed_steps(x, None), x.flip(1))
