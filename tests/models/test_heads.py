"""What each head promises for itself: losses by hand, known scales recovered, quantiles that cover, refused tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from foldline.core.errors import UserError
from foldline.experiment import config
from foldline.models import heads
from foldline.models.contract import Head, Targets
from foldline.models.heads.quantile import Quantile

ONE = Targets(count=1)


def loss(head: Head, raw: list[list[float]], y: list[list[float]], weight: list[float]) -> float:
    """Of one series: raw (T, P), y (T, K), weight (T)."""
    return head.loss(torch.tensor([raw]), torch.tensor([y]), torch.tensor([weight]), None).item()


def fitted(head: Head, y: Tensor, steps: int = 400) -> Tensor:
    """Raw outputs (1, 1, P), the same for all of y (N), that minimise the head's loss; start: zero."""
    raw = torch.zeros(1, 1, head(torch.zeros(1, 1, 1)).shape[-1], requires_grad=True)
    optimiser = torch.optim.Adam([raw], lr=0.05)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        head.loss(raw.expand(1, len(y), -1), y.view(1, -1, 1), torch.ones(1, len(y)), None).backward()
        optimiser.step()
        schedule.step()
    return raw.detach()


def test_l1_by_hand() -> None:
    head = heads.build({"kind": "l1"}, 4, Targets(count=2))
    raw, y = [[1.0, 2.0], [5.0, 5.0], [0.0, 0.0]], [[0.0, 4.0], [9.0, 9.0], [1.0, 0.0]]
    assert loss(head, raw, y, [1, 0, 1]) == (1.5 + 0.5) / 2  # the middle step, off by 4, does not count
    assert loss(head, raw, y, [1, 0, 3]) == (1.5 + 3 * 0.5) / 4
    assert torch.equal(head.predict(torch.tensor([raw]), torch.ones(1, 3, dtype=torch.bool)), torch.tensor([raw]))


def test_l2_by_hand() -> None:
    head = heads.build({"kind": "l2"}, 4, Targets(count=2))
    raw, y = [[1.0, 2.0], [5.0, 5.0], [0.0, 0.0]], [[0.0, 4.0], [9.0, 9.0], [1.0, 0.0]]
    assert loss(head, raw, y, [1, 0, 1]) == (2.5 + 0.5) / 2


def test_huber_by_hand() -> None:
    head = heads.build({"kind": "huber", "delta": 0.5}, 4, ONE)
    assert loss(head, [[0.2]], [[0.0]], [1]) == pytest.approx(0.2**2 / (2 * 0.5))
    assert loss(head, [[3.0]], [[0.0]], [1]) == pytest.approx(3.0 - 0.25)


def test_the_two_phases_by_hand() -> None:
    head = heads.build({"kind": "twophase", "other": 0.5}, 4, ONE)
    raw, y = torch.tensor([[[1.0, 50.0], [60.0, 4.0], [70.0, 80.0]]]), torch.zeros(1, 3, 1)
    weight, known = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[[True], [True], [False]]])
    assert head.loss(raw, y, weight, known).item() == (2 * 1 + 0.5 * 4) / 2  # the third step is padding
    assert head.predict(raw, weight > 0).flatten().tolist() == [1.0, 4.0, 80.0]


def test_a_step_without_a_label_counts_for_no_phase() -> None:
    """Unscored steps of unlabelled series hold y = 0: not a label of the other phase."""
    head = heads.build({"kind": "twophase", "other": 0.5}, 4, Targets(count=2))
    raw, y = torch.zeros(1, 4, 4, requires_grad=True), torch.ones(1, 4, 2)
    weight = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    known = torch.tensor([[[True, True], [False, False], [True, False], [True, True]]])
    loss = head.loss(raw, torch.where(known, y, 7.0), weight, known)
    assert loss.item() == 1 + 0.5 * (0.5 + 1)  # the third step has one of two targets
    loss.backward()
    assert raw.grad is not None and not raw.grad[0, 1].any()
    assert (raw.grad[0, 2] != 0).tolist() == [False, False, True, False]
    everywhere = torch.ones_like(known)
    assert head.loss(raw, y, weight, everywhere).item() == head.loss(raw, y, weight, None).item() == 1 + 0.5 * 3


def test_each_phase_learns_from_its_own_steps() -> None:
    head = heads.build({"kind": "twophase"}, 4, ONE)
    raw = torch.zeros(1, 2, 2, requires_grad=True)
    head.loss(raw, torch.ones(1, 2, 1), torch.tensor([[1.0, 0.0]]), None).backward()
    assert raw.grad is not None
    assert (raw.grad[0] != 0).tolist() == [[True, False], [False, True]]


def test_pinball_by_hand() -> None:
    head = heads.build({"kind": "quantile", "levels": [0.1, 0.5]}, 4, ONE)
    low = 2.0 - math.log1p(math.e)  # median 2, less a softplus of 1: 0.687
    expected = 2 * (0.1 * (3 - low) + 0.5 * (3 - 2)) / 2
    assert loss(head, [[1.0, 2.0]], [[3.0]], [1]) == pytest.approx(expected)
    expected = 2 * (0.9 * (low - 0) + 0.5 * (2 - 0)) / 2
    assert loss(head, [[1.0, 2.0]], [[0.0]], [1]) == pytest.approx(expected)


def test_the_median_alone_is_l1() -> None:
    assert loss(heads.build({"kind": "quantile", "levels": [0.5]}, 4, ONE), [[1.0]], [[4.0]], [1]) == 3.0


@pytest.mark.learned
def test_quantiles_cover_what_their_level_says() -> None:
    y = torch.distributions.Exponential(1.0).icdf((torch.arange(2000) + 0.5) / 2000)  # skewed: no normal fits
    head = heads.build({"kind": "quantile", "levels": [0.1, 0.25, 0.5, 0.9]}, 1, ONE)
    assert isinstance(head, Quantile)
    quantiles = head.quantiles(fitted(head, y)).flatten()
    covered = (y[:, None] <= quantiles).float().mean(dim=0)
    torch.testing.assert_close(covered, torch.tensor([0.1, 0.25, 0.5, 0.9]), atol=0.01, rtol=0)


def test_quantiles_never_cross() -> None:
    head = heads.build({"kind": "quantile"}, 4, Targets(count=2))
    assert isinstance(head, Quantile)
    quantiles = head.quantiles(10 * torch.randn(3, 7, 10, generator=torch.Generator().manual_seed(0)))
    assert bool((quantiles.diff(dim=-1) >= 0).all()) and quantiles.shape == (3, 7, 2, 5)


def test_the_spread_of_quantiles_is_the_mean_distance_to_the_median() -> None:
    head = heads.build({"kind": "quantile", "levels": [0.1, 0.5, 0.7]}, 4, ONE)
    raw = torch.tensor([[[0.3, 5.0, 1.2]]])
    assert isinstance(head, Quantile)
    level = ((torch.arange(100_000) + 0.5) / 100_000).clamp(0.1, 0.7)  # the slow reference: quantile by quantile
    low, median, high = head.quantiles(raw).flatten().tolist()
    below, above = (level - 0.1) / 0.4, (level - 0.5) / 0.2
    straight = torch.where(level < 0.5, low + below * (median - low), median + above * (high - median))
    torch.testing.assert_close(head.spread(raw).squeeze(), (straight - median).abs().mean())


def test_gaussian_by_hand() -> None:
    head, sigma = heads.build({"kind": "gaussian"}, 4, ONE), math.log1p(math.exp(0.7)) + 1e-3
    expected = -torch.distributions.Normal(2.0, sigma).log_prob(torch.tensor(3.5)).item()
    assert loss(head, [[2.0, 0.7]], [[3.5]], [1]) == pytest.approx(expected)


def test_laplace_by_hand() -> None:
    head, b = heads.build({"kind": "laplace"}, 4, ONE), math.log1p(math.exp(0.7)) + 1e-3
    expected = -torch.distributions.Laplace(2.0, b).log_prob(torch.tensor(3.5)).item()
    assert loss(head, [[2.0, 0.7]], [[3.5]], [1]) == pytest.approx(expected)


@pytest.mark.learned
@pytest.mark.parametrize(("kind", "drawn_from"), [("gaussian", "Normal"), ("laplace", "Laplace")])
def test_a_likelihood_recovers_location_scale_and_mean_error(kind: str, drawn_from: str) -> None:
    torch.manual_seed(0)
    y = getattr(torch.distributions, drawn_from)(1.5, 0.4).sample((4000,))
    head = heads.build({"kind": kind}, 1, ONE)
    raw = fitted(head, y)
    location, spread = head.predict(raw, torch.ones(1, 1)), head.spread(raw)
    assert spread is not None
    _, scale = head.location_and_scale(raw)  # type: ignore[operator]
    assert location.item() == pytest.approx(1.5, abs=0.02) and scale.item() == pytest.approx(0.4, rel=0.03)
    assert spread.item() == pytest.approx((y - 1.5).abs().mean().item(), rel=0.03)


def test_targets_refuse_grids_that_are_none() -> None:
    with pytest.raises(ValueError, match="for each of the 2 targets, or nothing, but holds 1"):
        Targets(count=2, grids=(None,))
    with pytest.raises(ValueError, match=r"step > 0, count >= 1\), but that of target 0 is \(0.0, 0.0, 5\)"):
        Targets(count=1, grids=((0.0, 0.0, 5),))
    with pytest.raises(ValueError, match="at least one target, but count is 0"):
        Targets(count=0)


def load(head: str) -> config.Config:
    return config.load(Path("quickstart"), [f"model.0.head={head}"])


def test_a_heads_table_is_read_from_a_config() -> None:
    params = load('{kind = "laplace", aux = {differences = [1, 2]}}').models[0].params
    head = heads.build(params["head"], 4, ONE)
    assert head(torch.zeros(1, 1, 4)).shape[-1] == 2 + 2  # location and scale, and two differences


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('{kind = "laplce"}', "unknown kind 'laplce'. Did you mean 'laplace'?"),
        ('{kind = "l1", floor = 0.1}', "head: unknown key 'floor'"),
        ('{kind = "l1", aux = {diferences = [1]}}', "head.aux: unknown key 'diferences'. Did you mean 'differences'?"),
        ('{kind = "l1", aux = {differences = [0]}}', "different lags of at least 1 step, but is [0]"),
        ('{kind = "l1", aux = {differences = [2, 2]}}', "different lags of at least 1 step, but is [2, 2]"),
        ('{kind = "l1", aux = {differences = ["1"]}}', "differences[0] must be a whole number"),
        ('{kind = "l1", aux = {differences = []}}', "aux must have at least one target"),
        ('{kind = "l1", aux = {weight = 0}}', "weight must be above 0, but is 0.0"),
        ('{kind = "l1", aux = 0.2}', "head.aux must be a table, but is 0.2"),
        ('{kind = "huber", delta = 0}', "delta must be above 0, but is 0.0"),
        ('{kind = "twophase", other = 0}', "other must be above 0, but is 0.0"),
        ('{kind = "quantile", levels = [0.1, 0.9]}', "levels must hold 0.5, the median"),
        ('{kind = "quantile", levels = [0.5, 0.1]}', "levels must rise"),
        ('{kind = "quantile", levels = [0.5, 1.0]}', "levels must rise, each above 0 and below 1"),
        ('{kind = "gaussian", floor = 0}', "floor must be above 0, but is 0.0"),
        ('{kind = "laplace", floor = -1}', "floor must be above 0, but is -1.0"),
        ('{kind = "grid", soften = 0.5}', "soften must be at least 1 grid step"),
    ],
)
def test_impossible_tables_are_refused(table: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(table)
    assert message in str(caught.value)


def test_an_empty_table_of_auxiliary_targets_means_its_defaults() -> None:
    table: dict[str, Any] = {"kind": "l1", "aux": {}}
    assert heads.build(table, 4, ONE)(torch.zeros(1, 1, 4)).shape[-1] == 1 + 4
