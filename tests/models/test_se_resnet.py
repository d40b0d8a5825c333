"""The residual network beside the contract: sizes and formulas as published, gates by real steps, what it refuses."""

from __future__ import annotations

from functools import partial
from typing import Any

import padding
import pytest
import torch
from torch import nn
from torch.nn import functional

from foldline.models.blocks.se_resnet import Config, SEResNet, SqueezeExcitation
from foldline.models.probes import receptive_field


def make(inputs: int = 3, **table: Any) -> SEResNet:
    torch.manual_seed(0)
    return SEResNet(Config(**{"width": 8, **table}), inputs)


def test_at_the_published_sizes_it_has_the_papers_weights() -> None:
    """Wang et al.: units of 64, 128, 128 channels, kernels of 8, 5 and 3; the last shortcut changes no width."""
    channels, taps = 9, 8 + 5 + 3

    def unit(inputs: int, width: int) -> int:
        shortcut = inputs * width * (inputs != width)
        return (8 * inputs + (taps - 8) * width) * width + shortcut + 4 * 2 * width  # four norms

    plain = unit(channels, 64) + unit(64, 128) + unit(128, 128)
    assert sum(weight.numel() for weight in make(channels, width=128, norm="batch", reduction=0).parameters()) == plain
    gates = [2 * width * narrow + width + narrow for width, narrow in ((64, 4), (128, 8), (128, 8))]
    assert sum(weight.numel() for weight in make(channels, width=128).parameters()) == plain + sum(gates)


def test_without_gates_its_window_is_what_each_convolution_adds() -> None:
    config = Config(reduction=0)
    assert config.reach == (3 * (3 + 2 + 1), 3 * (4 + 2 + 1))
    x = torch.randn(4, 61, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = receptive_field(partial(make(reduction=0).double(), mask=None), x, 30)
    assert found == list(range(30 - 18, 30 + 21 + 1))


@torch.no_grad()
def test_a_unit_is_three_convolutions_weighted_and_its_input() -> None:
    unit, x = make(units=1, norm="batch").units[0].eval(), torch.randn(2, 3, 11)
    hidden = x
    for number, around in enumerate(((3, 4), (2, 2), (1, 1))):
        padded = functional.pad(hidden.relu() if number else hidden, around)
        hidden = unit.norms[number](functional.conv1d(padded, unit.convolutions[number].conv.weight))
    expected = unit.weigh(hidden, None) + unit.shortcut.norm(functional.conv1d(x, unit.shortcut.conv.weight))
    torch.testing.assert_close(unit(x, None), expected.relu())


@torch.no_grad()
def test_a_gate_is_the_papers_formula_on_the_mean_of_real_steps() -> None:
    torch.manual_seed(0)
    gate, x = SqueezeExcitation(6, 1), torch.randn(2, 6, 5)
    real = torch.tensor([[True] * 5, [True] * 2 + [False] * 3]).unsqueeze(1)
    out = gate(torch.where(real, x, 1e6), real)
    for series, steps in ((0, 5), (1, 2)):
        mean = x[series, :, :steps].mean(dim=1)
        hidden = (gate.squeeze.weight @ mean + gate.squeeze.bias).relu()
        weight = (gate.excite.weight @ hidden + gate.excite.bias).sigmoid()
        torch.testing.assert_close(out[series, :, :steps], x[series, :, :steps] * weight[:, None])


@torch.no_grad()
def test_a_closed_gate_leaves_the_shortcut_alone() -> None:
    unit, x = make(units=1, inputs=8).units[0], torch.randn(2, 8, 6)
    unit.weigh.excite.bias.fill_(-1e3)
    assert isinstance(unit.shortcut.conv, nn.Identity)
    assert torch.equal(unit(x, None), unit.shortcut.norm(x).relu())


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_in_training_padding_changes_neither_output_nor_gradient(norm: str) -> None:
    padding.assert_changes_nothing(lambda: make(norm=norm, units=2))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"width": 7}, "width must be even, the first of several units has half of it, but is 7"),
        ({"units": 0}, r"units and all kernels must be at least 1, but are 0 and \[8, 5, 3\]"),
        ({"kernels": ()}, r"must be at least 1, but are 3 and \[\]"),
        ({"kernels": (3, 0)}, r"must be at least 1, but are 3 and \[3, 0\]"),
        ({"reduction": -1}, "reduction must not be below 0, but is -1"),
        ({"norm": "none"}, "norm must be"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**table)
