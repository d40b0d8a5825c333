"""DeepAR: a known Gaussian is recovered, paths spread by sigma, known steps are fed back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from foldline.models.contract import Targets
from foldline.models.systems.deepar import Config, DeepAR

STATIC = torch.zeros(64, 0, dtype=torch.long)


def make(targets: Targets, features: int, **changes: Any) -> DeepAR:
    torch.manual_seed(0)
    return DeepAR(Config(**{"width": 8, "layers": 1, **changes}), features, (), targets)


def constant(mu: float, sigma: float, **changes: Any) -> DeepAR:
    """A network whose every step is N(mu, sigma), whatever its inputs."""
    network = make(Targets(count=1), 1, form="autoregressive", **changes).eval()
    linear = network._inner.out
    nn.init.zeros_(linear.weight)
    with torch.no_grad():
        linear.bias.copy_(network._inner.outputs_of(torch.tensor([mu]), torch.tensor([sigma])))
    return network


@pytest.mark.learned
@pytest.mark.parametrize("form", ["aligned", "autoregressive"])
def test_the_likelihood_recovers_a_known_gaussian(form: str) -> None:
    network, random = make(Targets(count=1), 1, form=form), torch.Generator().manual_seed(1)
    x, y = torch.zeros(64, 20, 1), 0.7 + 0.4 * torch.randn(64, 20, 1, generator=random)
    weight, optimiser = torch.ones(64, 20), torch.optim.Adam(network.parameters(), lr=2e-2)
    for _ in range(60):
        optimiser.zero_grad()
        more = {"y": y} if network.takes_target else {}
        network.head.loss(network.head(network(x, STATIC, None, **more)), y, weight, None).backward()
        optimiser.step()
    network.eval().requires_grad_(False)
    raw = network.head(network(x, STATIC, None))
    scored = torch.ones(64, 20, dtype=torch.bool)
    assert abs(float(network.head.predict(raw, scored).mean()) - 0.7) < 0.08
    spread = network.head.spread(raw)
    assert spread is not None and abs(float(spread.mean()) - 0.4 * (2 / torch.pi) ** 0.5) < 0.06


@torch.no_grad()
def test_paths_spread_as_sigma_says() -> None:
    network = constant(mu=0.5, sigma=0.3, paths=4000)
    raw = network(torch.zeros(2, 3, 1), STATIC[:2], None)
    location, sigma = network._inner.location_and_scale(raw)
    torch.testing.assert_close(location, torch.full((2, 3, 1), 0.5), atol=0.03, rtol=0)
    torch.testing.assert_close(sigma, torch.full((2, 3, 1), 0.3), atol=0.02, rtol=0)


@torch.no_grad()
def test_the_summary_is_the_paths_median_and_deviation() -> None:
    network = constant(mu=0.0, sigma=1.0, paths=3)
    paths = torch.tensor([1.0, 4.0, 2.0]).view(3, 1, 1, 1)
    location, sigma = network._inner.location_and_scale(network._summarise(paths))
    torch.testing.assert_close(location.flatten(), torch.tensor([2.0]))
    torch.testing.assert_close(sigma.flatten(), paths.flatten().std().unsqueeze(0))


@torch.no_grad()
@pytest.mark.parametrize("size", [1e-3, 1.0, 50.0, 90.0, 1e4, 1e19, 1e30, 1e38])
def test_the_summary_holds_for_any_size_of_float32(size: float) -> None:
    network = constant(mu=0.0, sigma=1.0, paths=4)
    paths = size * torch.tensor([-1.0, 1.0, 3.0, 2.0]).view(4, 1, 1, 1)
    location, sigma = network._inner.location_and_scale(network._summarise(paths))
    torch.testing.assert_close(location.flatten(), torch.tensor([1.5 * size]))
    torch.testing.assert_close(sigma.flatten().double(), paths.flatten().double().std().unsqueeze(0), rtol=1e-5, atol=0)


@torch.no_grad()
@pytest.mark.parametrize("scale", [1.1e-3, 0.1, 1.0, 20.0, 88.0, 89.0, 1e3, 1e10, 3e38])
def test_outputs_of_a_scale_give_that_scale(scale: float) -> None:
    head, location = constant(mu=0.0, sigma=1.0)._inner, torch.tensor([[0.25]])
    outputs = head.outputs_of(location, torch.tensor([[scale]]))
    assert outputs.isfinite().all()
    again, found = head.location_and_scale(outputs)
    assert torch.equal(again, location)
    torch.testing.assert_close(found, torch.tensor([[scale]]), rtol=1e-5, atol=1e-7)


@torch.no_grad()
def test_a_random_walk_spreads_as_the_root_of_the_steps() -> None:
    """Each step is fed the one before: with mu_t = y_{t-1} the paths' variance grows by sigma^2 a step."""
    network = constant(mu=0.0, sigma=0.1, paths=4000)
    network._run_layers = lambda x, mask: x  # type: ignore[method-assign]
    network.layers = nn.ModuleList([Echo()])
    network._inner.out.weight[0, 0] = 1.0
    _, sigma = network._inner.location_and_scale(network(torch.zeros(1, 9, 1), STATIC[:1], None))
    wanted = 0.1 * torch.arange(1, 10).sqrt().view(1, 9, 1)
    torch.testing.assert_close(sigma, wanted, atol=0.02, rtol=0.05)


class Echo(nn.Module):
    """In place of an LSTM: its first output is its first input."""

    def forward(self, x: Tensor, state: None) -> tuple[Tensor, None]:
        return torch.cat([x[..., :1], x.new_zeros(*x.shape[:2], 7)], dim=-1), None


@torch.no_grad()
def test_the_known_start_is_fed_back_and_later_truth_is_not() -> None:
    network = make(Targets(count=1, observed=2), 3, form="autoregressive").eval()
    random = torch.Generator().manual_seed(1)
    given = (torch.arange(6) < 2).float().view(1, 6, 1)
    x = torch.cat([torch.randn(1, 6, 2, generator=random) * given, given], dim=-1)
    x[..., 0] = 0.3
    changed = x.clone()
    changed[:, 1, 1] += 1.0
    free, other = network(x, STATIC[:1], None), network(changed, STATIC[:1], None)
    assert not torch.allclose(free[:, 2:], other[:, 2:])
    y = torch.randn(1, 6, 1, generator=random)
    forced, last = network(x, STATIC[:1], None, y), y.clone()
    last[:, -1] = 99.0
    assert torch.equal(network(x, STATIC[:1], None, last), forced)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"width": 7}, "width must be even"),
        ({"paths": 1}, "paths 2 and embed 0, but are 3, 1 and 4"),
        ({"form": "autoregressive", "head": {"kind": "gaussian", "aux": {}}}, "leave out head.aux"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**table)
