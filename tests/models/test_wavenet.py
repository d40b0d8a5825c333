"""WaveNet as a generator: a layer by hand, its window by gradients, free running against teacher forcing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from starts import series
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import Targets
from foldline.models.probes import receptive_field
from foldline.models.systems.autoregressive_wavenet import AutoregressiveWaveNet, Config, Layer

STATIC = torch.zeros(4, 0, dtype=torch.long)
STEPS, FEATURES = 12, 3
GRID = ((-2.0, 0.05, 81),)  # offset, step, count


def make(observed: int = 0, **changes: Any) -> AutoregressiveWaveNet:
    torch.manual_seed(0)
    config = Config(**{"width": 8, "layers": 2, **changes})
    return AutoregressiveWaveNet(
        config, FEATURES + (2 if observed else 0), (), Targets(count=1, grids=GRID, observed=observed)
    )


def batch(observed: int = 0) -> Tensor:
    return series(STEPS, FEATURES, observed)


@torch.no_grad()
def test_a_layer_is_the_papers_gated_dilated_convolution() -> None:
    torch.manual_seed(0)
    layer, z, inputs = Layer(6, 2, 3, last=False), torch.randn(2, 9, 6), torch.randn(2, 9, 3)
    weight = torch.stack(layer.taps.weight.chunk(2, dim=1), dim=2)  # (2 H, H, 2), the tap at t last
    both = functional.conv1d(functional.pad(z.transpose(1, 2), (2, 0)), weight, layer.taps.bias, dilation=2)
    both = both + functional.conv1d(inputs.transpose(1, 2), layer.condition.weight.unsqueeze(2))
    hidden = (both[:, :6].tanh() * both[:, 6:].sigmoid()).transpose(1, 2)
    past = functional.pad(z, (0, 0, 2, 0))[:, :9]
    after, skip = layer(past, z, layer.condition(inputs))
    assert layer.residual is not None
    torch.testing.assert_close(after, z + layer.residual(hidden))
    torch.testing.assert_close(skip, layer.skip(hidden))


@pytest.mark.parametrize(("layers", "stacks", "window"), [(1, 1, 2), (3, 1, 8), (4, 1, 16), (2, 3, 10)])
def test_the_window_by_gradients_is_the_declared_one(layers: int, stacks: int, window: int) -> None:
    """Of the inputs it ends with the answer's own step, of the past target one step before."""
    config, network = Config(layers=layers, stacks=stacks), make(layers=layers, stacks=stacks)
    x, y, last = torch.randn(4, 20, FEATURES), torch.randn(4, 20, 1), 18
    assert config.window == window and (stacks > 1 or window == 2**layers)
    assert receptive_field(lambda x: network(x, STATIC, None, y), x, last) == list(range(last + 1 - window, last + 1))
    assert receptive_field(lambda y: network(x, STATIC, None, y), y, last) == list(range(last - window, last))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["l1", "grid"])
@pytest.mark.parametrize("observed", [0, 3])
def test_free_running_is_teacher_forced_by_its_own_outputs(kind: str, observed: int) -> None:
    network, x = make(observed, stacks=2, head={"kind": kind}).eval(), batch(observed)
    free = network(x, STATIC, None)
    own = network.head.predict(network.head(free), torch.ones(4, STEPS, dtype=torch.bool))
    torch.testing.assert_close(network(x, STATIC, None, own), free)
    assert not torch.allclose(network(x, STATIC, None, own + 1), free)


@torch.no_grad()
def test_at_known_steps_the_true_target_is_fed_whatever_the_trainer_gives() -> None:
    network, x, y = make(3).eval(), batch(3), torch.randn(4, STEPS, 1)
    wrong = torch.cat([torch.full((4, 3, 1), 99.0), y[:, 3:]], dim=1)
    assert torch.equal(network(x, STATIC, None, y), network(x, STATIC, None, wrong))


@torch.no_grad()
def test_static_columns_enter_every_layer() -> None:
    torch.manual_seed(0)
    network = AutoregressiveWaveNet(Config(width=8, layers=2), FEATURES, (3, 2), Targets(count=1)).eval()
    assert [layer.condition.in_features for layer in network._layers] == [FEATURES + 2 * 4] * 2
    first, other = (
        network(batch(), torch.tensor([[1, 1]] * 4), None),
        network(batch(), torch.tensor([[2, 1]] * 4), None),
    )
    assert not torch.allclose(first[:, 0], other[:, 0])


@pytest.mark.learned
def test_it_goes_on_with_the_rhythm_of_a_known_start() -> None:
    """y_t = y_{t-4}, every series with four values of its own: only the past target determines them."""
    network, random = make(4, width=16, layers=3).train(), torch.Generator().manual_seed(1)

    def draw(count: int) -> tuple[Tensor, Tensor]:
        y = torch.rand(count, 4, 1, generator=random).repeat(1, 3, 1)
        given = (torch.arange(STEPS) < 4).float().expand(count, -1).unsqueeze(-1)
        return torch.cat([torch.zeros(count, STEPS, FEATURES), y * given, given], dim=-1), y

    optimiser, static = torch.optim.Adam(network.parameters(), lr=1e-2), torch.zeros(64, 0, dtype=torch.long)
    weight = (torch.arange(STEPS) >= 4).float().expand(64, -1)
    for _ in range(200):
        x, y = draw(64)
        optimiser.zero_grad()
        network.head.loss(network.head(network(x, static, None, y)), y, weight, None).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    network.eval().requires_grad_(False)
    x, y = draw(64)
    free = network.head.predict(network.head(network(x, static, None)), weight > 0)
    error = (free - y)[:, 4:].abs().mean()
    assert float(error) < 0.1  # the best constant is off by 0.25


@pytest.mark.parametrize("table", [{"width": 0}, {"layers": 0}, {"stacks": 0}, {"embed": -1}])
def test_impossible_sizes_are_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be at least 1 and embed 0, but are"):
        Config(**table)
