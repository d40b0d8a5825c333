"""ES-RNN: smoothing and Holt-Winters by hand, where alpha starts, dilated steps, the head's logarithm."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from foldline.models import heads
from foldline.models.contract import Targets
from foldline.models.systems.esrnn import (
    ESRNN,
    Config,
    DilatedLSTM,
    HoltWinters,
    LogRatioHead,
    Smoothing,
    combination_weights,
    exponential_smoothing,
    initial_alphas,
)

VENTILATOR = ((5.0, 20.0, 50.0), (0.01, 0.02, 0.05))  # R in cmH2O/(L/s), C in L/cmH2O


def test_alpha_starts_from_the_lungs_time_constant() -> None:
    alpha = initial_alphas(Config(factors=VENTILATOR), (3, 3)).view(4, 4)
    assert float(alpha[1, 3]) == pytest.approx(1 - math.exp(-0.033 / (5 * 0.05)))
    assert float(alpha[3, 1]) == pytest.approx(1 - math.exp(-0.033 / (50 * 0.01)))
    unknown_r = (5 * 20 * 50) ** (1 / 3)
    assert float(alpha[0, 2]) == pytest.approx(1 - math.exp(-0.033 / (unknown_r * 0.02)), rel=1e-5)


def test_smoothing_is_the_recursion_by_hand() -> None:
    x, alpha = torch.tensor([[[1.0], [3.0], [0.0]]]), torch.tensor([[0.25]])
    torch.testing.assert_close(exponential_smoothing(x, alpha).flatten(), torch.tensor([1.0, 1.5, 1.125]))


@torch.no_grad()
def test_each_combination_smooths_by_its_own_alpha() -> None:
    smooth, static = Smoothing(Config(factors=VENTILATOR), 2, (3, 3)), torch.tensor([[1, 3], [3, 1]])
    x = torch.randn(1, 5, 2).expand(2, -1, -1)
    out = smooth(x, static)
    for series, alpha in enumerate((1 - math.exp(-0.033 / 0.25), 1 - math.exp(-0.033 / 0.5))):
        level = exponential_smoothing(x[:1], torch.full((1, 2), alpha))
        torch.testing.assert_close(out[series : series + 1], torch.cat([level, x[:1] - level], dim=-1))


def test_gradients_reach_the_alphas_of_the_series_that_are_there_and_of_no_other() -> None:
    network = ESRNN(Config(width=4, dilations=((1,),), factors=VENTILATOR), 2, (3, 3), Targets(count=1))
    network(torch.randn(1, 6, 2), torch.tensor([[2, 3]]), None).sum().backward()
    assert network.smooth is not None and network.smooth.alpha.grad is not None
    touched = network.smooth.alpha.grad.abs().sum(dim=1).nonzero().flatten()
    assert touched.tolist() == [2 * 4 + 3]


def test_combinations_are_counted_row_by_row() -> None:
    assert combination_weights(torch.tensor([[0, 0], [2, 1]]), (3, 2)).argmax(dim=1).tolist() == [0, 2 * 3 + 1]
    half = torch.tensor([[[0.0, 0.5, 0.5, 0.0], [0.0, 1.0, 0.0, 0.0]]])
    assert combination_weights(half, (3, 2))[0].nonzero().flatten().tolist() == [1 * 3 + 1, 2 * 3 + 1]


@torch.no_grad()
def test_holt_winters_is_the_recursion_by_hand() -> None:
    base = HoltWinters(Config(season=2, offset=1.0), (), targets=1)
    for parameter in (base.alpha, base.gamma, base.trust):
        assert parameter is not None
        parameter.zero_()  # alpha = gamma = trust = 1/2
    base.season.copy_(torch.tensor([1.0, 2.0]).log().view(2, 1, 1))
    y, known = torch.tensor([3.0, 9.0, 0.0, 0.0]).view(1, 4, 1), torch.tensor([True, True, False, False]).view(1, 4, 1)
    forecast, ratio = base(y, known, torch.zeros(1, 0, dtype=torch.long))  # positive: 4, 10, with a mean of 7
    one, two = math.sqrt(4 / 7 * 1.0), math.sqrt(10 / 7 * 2.0)  # between its own first season and the common one
    first = 0.5 * (4 / one) + 0.5 * 7
    second = 0.5 * (10 / two) + 0.5 * first
    season = [0.5 * (4 / first) + 0.5 * one, 0.5 * (10 / second) + 0.5 * two]
    wanted = torch.tensor([first * one, second * two, second * season[0], second * season[1]])
    torch.testing.assert_close(forecast.flatten(), wanted)
    torch.testing.assert_close(ratio.flatten()[:2], torch.tensor([4 / wanted[0], 10 / wanted[1]]).log())
    assert not ratio.flatten()[2:].any()


@torch.no_grad()
def test_without_a_season_the_level_is_the_recursion_by_hand() -> None:
    base = HoltWinters(Config(offset=1.0), (), targets=1)
    y, known = torch.tensor([3.0, 9.0, 0.0]).view(1, 3, 1), torch.tensor([True, True, False]).view(1, 3, 1)
    forecast, _ = base(y, known, torch.zeros(1, 0, dtype=torch.long))
    torch.testing.assert_close(forecast.flatten(), torch.tensor([4.0, 7.0, 7.0]))


@torch.no_grad()
@pytest.mark.parametrize("known_steps", [7, 9, 16])
def test_a_season_starts_at_seasonal_naive(known_steps: int) -> None:
    """Near it before training; at it where the level stands still and the season is the latest one."""
    base, steps = HoltWinters(Config(season=7), (), targets=1), 24
    y = torch.rand(5, steps, 1, generator=torch.Generator().manual_seed(0)) * 4 - 2
    known = (torch.arange(steps) < known_steps).view(1, steps, 1).expand(5, -1, -1)
    place = torch.arange(known_steps, steps)
    naive = y[:, known_steps - 7 + (place - known_steps) % 7]
    static = torch.zeros(5, 0, dtype=torch.long)
    near = base(torch.where(known, y, 0.0), known, static)[0][:, known_steps:] - 4.0
    assert (near - naive).abs().mean() < 0.1 * naive.std()
    for parameter, logit in ((base.alpha, -40.0), (base.gamma, 40.0), (base.trust, 40.0)):
        assert parameter is not None
        parameter.fill_(logit)
    exact = base(torch.where(known, y, 0.0), known, static)[0][:, known_steps:] - 4.0
    torch.testing.assert_close(exact, naive, rtol=0, atol=1e-4)


@torch.no_grad()
def test_the_head_works_on_the_logarithm_and_predicts_in_the_targets_unit() -> None:
    head = LogRatioHead(heads.build({"kind": "l1"}, 1, Targets(count=1)), targets=1, offset=2.0)
    raw = torch.tensor([math.log(1.5), 4.0]).view(1, 1, 2)  # ratio 1.5 of a forecast of 4: y + 2 = 6
    scored = torch.ones(1, 1, dtype=torch.bool)
    torch.testing.assert_close(head.predict(raw, scored).flatten(), torch.tensor([4.0]))
    loss = head.loss(raw, torch.tensor([10.0]).view(1, 1, 1), torch.ones(1, 1), None)
    torch.testing.assert_close(loss, torch.tensor(math.log(12 / 4) - math.log(1.5)))
    gaussian = LogRatioHead(heads.build({"kind": "gaussian"}, 1, Targets(count=1)), targets=1, offset=2.0)
    sure = gaussian.spread(torch.tensor([0.0, -2.0, 4.0]).view(1, 1, 3))
    unsure = gaussian.spread(torch.tensor([0.0, 1.0, 4.0]).view(1, 1, 3))
    assert sure is not None and unsure is not None and float(unsure) > float(sure) > 0


@torch.no_grad()
@pytest.mark.parametrize("ratio", [100.0, 1e4, 1e30])
def test_an_extreme_ratio_stays_finite(ratio: float) -> None:
    head = LogRatioHead(heads.build({"kind": "gaussian"}, 1, Targets(count=1)), targets=1, offset=2.0)
    raw = torch.tensor([ratio, 1e4, 4.0]).view(1, 1, 3)
    spread = head.spread(raw)
    assert spread is not None and spread.isfinite().all()
    assert head.predict(raw, torch.ones(1, 1, dtype=torch.bool)).isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("causal", [True, False])
def test_a_dilated_lstm_is_an_lstm_on_every_dth_step(causal: bool) -> None:
    torch.manual_seed(0)
    layer, x = DilatedLSTM(3, 4, dilation=3, causal=causal), torch.randn(2, 8, 3)
    out = layer(x, None)
    for first in range(3):
        torch.testing.assert_close(out[:, first::3], layer.lstm(x[:, first::3].contiguous())[0])


@torch.no_grad()
def test_blocks_of_dilated_lstms_follow_each_other_with_a_residual_around_all_but_the_first() -> None:
    torch.manual_seed(0)
    network = ESRNN(Config(width=4, causal=True, dilations=((1, 2), (3,))), 3, (), Targets(count=1))
    assert network.smooth is not None
    x, static = torch.randn(2, 8, 3), torch.zeros(2, 0, dtype=torch.long)
    (first, second), (third,) = network.blocks
    below = second(first(network.smooth(x, static), None), None)
    torch.testing.assert_close(network(x, static, None), below + third(below, None))


@torch.no_grad()
def test_the_forecasting_form_follows_the_known_level() -> None:
    network = ESRNN(Config(width=4, form="forecast"), 3, (), Targets(count=1, observed=2)).eval()
    for parameter in network.head.parameters():
        parameter.zero_()  # the head predicts ratio 1: the prediction is Holt-Winters' own forecast
    x = torch.tensor([[[0.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]])
    raw = network.head(network(x, torch.zeros(1, 0, dtype=torch.long), None))
    prediction = network.head.predict(raw, torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(prediction.flatten(), torch.ones(3))


def test_forms_and_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"give data\.observed"):
        ESRNN(Config(form="forecast"), 3, (), Targets(count=1))
    with pytest.raises(ValueError, match=r"\[3, 3\] of them, but holds \[2\]"):
        ESRNN(Config(factors=((1.0, 2.0),)), 3, (3, 3), Targets(count=1))
    tables: list[dict[str, Any]] = [{"width": 5}, {"dilations": ((),)}, {"season": 0}, {"factors": ((0.0,),)}]
    for table in tables:
        with pytest.raises(ValueError, match=f"{next(iter(table))} must"):
            Config(**table)
