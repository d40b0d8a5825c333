"""Auxiliary targets: each by hand, against differences counted one by one, and where a step may not count."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from foldline.models import heads
from foldline.models.contract import Targets
from foldline.models.heads.auxiliary import Aux

Y = torch.tensor([1.0, 4.0, 2.0, 8.0, 5.0]).view(1, 5, 1)
ALL = torch.ones(1, 5)


def total(aux: Aux, weight: Tensor, raw: Tensor | None = None) -> float:
    return aux.weighted_sum(torch.zeros(1, 5, aux.count) if raw is None else raw, Y, weight).item()


def test_differences_by_hand() -> None:
    aux = Aux(differences=(2,), weight=1.0)
    assert total(aux, ALL) == 1 + 4 + 3  # 2 - 1, 8 - 4, 5 - 2; the first two steps have no step two before
    assert total(Aux(differences=(2,), weight=0.25), ALL) == 8 / 4
    assert total(aux, torch.tensor([[1.0, 0.0, 1.0, 1.0, 3.0]])) == 1 + 3 * 3  # 8 - 4 leans on an unscored step


def test_the_second_difference_by_hand() -> None:
    aux = Aux(differences=(), second=True, weight=1.0)
    assert total(aux, ALL) == 5 + 8 + 9  # 1 - 8 + 2, 4 - 4 + 8, 2 - 16 + 5
    assert total(aux, torch.tensor([[1.0, 0.0, 1.0, 1.0, 1.0]])) == 9


def test_the_cumulative_target_by_hand() -> None:
    aux = Aux(differences=(), cumulative=True, weight=1.0)
    assert total(aux, ALL) == pytest.approx(1 + 5 / 2 + 7 / 3 + 15 / 4 + 20 / 5)
    assert total(aux, torch.tensor([[0.0, 1.0, 0.0, 2.0, 0.0]])) == 4 + 2 * 12 / 2  # only scored steps are summed


def test_a_target_computed_from_an_unknown_value_does_not_count() -> None:
    aux, y = Aux(differences=(1,), second=True, cumulative=True, weight=1.0), torch.cat([Y, 2 * Y], dim=2)
    known = torch.ones(1, 5, 2, dtype=torch.bool)
    raw = torch.zeros(1, 5, 2 * aux.count)
    whole = aux.weighted_sum(raw, y, ALL, known)
    assert whole.item() == aux.weighted_sum(raw, y, ALL, None).item()
    known[0, 1, 0] = False  # of the first target: differences at steps 1, 2, second differences at 2, 3
    differences = (6 + 3) + 2 * (3 + 2 + 6 + 3)
    second = 9 + 2 * (5 + 8 + 9)
    cumulative = (1 + 3 / 2 + 11 / 3 + 16 / 4) + 2 * (1 + 5 / 2 + 7 / 3 + 15 / 4 + 20 / 5)
    found = aux.weighted_sum(raw, torch.where(known, y, 99.0), ALL, known).item()
    assert found == pytest.approx((differences + second + cumulative) / 6)


def test_targets_of_several_kinds_are_averaged_over() -> None:
    each = [Aux(differences=(1,)), Aux(differences=(3,)), Aux(differences=(), second=True)]
    together = total(Aux(differences=(1, 3), second=True), ALL)
    assert together == pytest.approx(sum(total(aux, ALL) for aux in each) / 3)


def test_each_output_stands_for_one_lag_and_target() -> None:
    y = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(0))
    raw = torch.zeros(2, 7, 6)
    for series in range(2):
        for step in range(7):
            for place, lag in enumerate((1, 4)):
                if step >= lag:
                    raw[series, step, 3 * place : 3 * place + 3] = y[series, step] - y[series, step - lag]
    aux = Aux(differences=(1, 4))
    assert aux.weighted_sum(raw, y, torch.ones(2, 7)).item() == 0.0
    assert aux.weighted_sum(raw[..., [0, 2, 1, 3, 4, 5]], y, torch.ones(2, 7)).item() > 0


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_lags_longer_than_a_series_have_no_steps(steps: int) -> None:
    aux = Aux(differences=(3, 4))
    assert aux.weighted_sum(torch.ones(2, steps, 2), torch.ones(2, steps, 1), torch.ones(2, steps)).item() == 0.0


def test_it_adds_its_share_to_the_heads_own_loss() -> None:
    head = heads.build({"kind": "l1", "aux": {"differences": [1], "weight": 0.5}}, 4, Targets(count=1))
    raw, weight = torch.zeros(1, 5, 2), torch.tensor([[1.0, 1.0, 2.0, 1.0, 0.0]])
    own, differences = (1 + 4 + 2 * 2 + 8) / 5, (3 + 2 * 2 + 6) / 5
    assert head.loss(raw, Y, weight, None).item() == pytest.approx(own + 0.5 * differences)


@pytest.mark.learned
def test_its_outputs_learn_the_differences_of_the_target() -> None:
    torch.manual_seed(0)
    table: dict[str, Any] = {"kind": "gaussian", "aux": {"differences": [1, 2], "weight": 1.0}}
    hidden, y, weight = torch.randn(4, 6, 24), torch.randn(4, 6, 1), torch.ones(4, 6)
    head = heads.build(table, 24, Targets(count=1))
    optimiser = torch.optim.Adam(nn.ModuleList([head]).parameters(), lr=0.02)
    for _ in range(600):
        optimiser.zero_grad()
        head.loss(head(hidden), y, weight, None).backward()
        optimiser.step()
    first, second = head(hidden)[..., 2:].unbind(-1)
    torch.testing.assert_close(first[:, 1:], y[:, 1:, 0] - y[:, :-1, 0], atol=0.15, rtol=0)
    torch.testing.assert_close(second[:, 2:], y[:, 2:, 0] - y[:, :-2, 0], atol=0.15, rtol=0)
