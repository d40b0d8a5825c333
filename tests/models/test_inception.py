"""InceptionTime beside the contract: its size and window as published, its branches, its shortcuts, what it refuses."""

from __future__ import annotations

from functools import partial
from typing import Any

import padding
import pytest
import torch
from torch import nn
from torch.nn import functional

from foldline.models.blocks.inception import Config, Inception, maximum
from foldline.models.ops.residual_convolution import Convolution
from foldline.models.probes import receptive_field


def make(inputs: int = 3, **table: Any) -> Inception:
    torch.manual_seed(0)
    return Inception(Config(**{"width": 8, "kernel": 8, **table}), inputs)


def test_at_the_published_sizes_it_has_the_papers_weights_and_window() -> None:
    """Figure 1 and 2: 32 channels of each branch, kernels of 40, 20 and 10, depth 6; window: 1 + sum of (k - 1)."""
    channels, width, filters = 9, 128, 32
    network = make(channels, width=width, kernel=40, norm="batch")
    convolved, norm = filters * filters * (40 + 20 + 10), 2 * width

    def module(inputs: int) -> int:
        return inputs * filters + convolved + inputs * filters + norm  # bottleneck, three kernels, maximum, norm

    shortcuts = (channels + width) * width + 2 * norm
    assert sum(weight.numel() for weight in network.parameters()) == module(channels) + 5 * module(width) + shortcuts
    assert [len(each.convolutions) for each in network.modules_in_order] == [3] * 6 and len(network.shortcuts) == 2
    assert Config(width=width).reach == (6 * 19, 6 * 20) and sum(Config().reach) + 1 == 1 + 6 * (40 - 1)


@pytest.mark.parametrize(
    ("table", "back", "ahead"),
    [
        ({"layers": 3, "kernel": 8}, 9, 12),
        ({"layers": 2, "kernel": 9}, 8, 8),
        ({"layers": 2, "kernel": 4}, 2, 4),
        ({"layers": 4, "kernel": 8, "causal": True}, 28, 0),
    ],
)
def test_its_window_is_what_each_module_adds(table: dict[str, Any], back: int, ahead: int) -> None:
    assert Config(**table).reach == (back, ahead)
    x = torch.randn(2, 61, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = receptive_field(partial(make(**table).double(), mask=None), x, 30)
    assert found == list(range(30 - back, 30 + ahead + 1))


@torch.no_grad()
def test_a_module_is_three_kernels_on_the_bottleneck_beside_the_maximum_of_the_input() -> None:
    module, x = make(norm="batch").modules_in_order[0].eval(), torch.randn(2, 3, 11)
    narrow = functional.conv1d(x, module.bottleneck.conv.weight)
    assert narrow.shape == (2, 2, 11)
    around = {8: (3, 4), 4: (1, 2), 2: (0, 1)}  # kernel -> zeros before and behind
    same = [
        functional.conv1d(functional.pad(narrow, around[kernel]), each.conv.weight)
        for kernel, each in zip(around, module.convolutions, strict=True)
    ]
    assert [each.conv.kernel_size for each in module.convolutions] == [(8,), (4,), (2,)]
    pooled = functional.conv1d(functional.max_pool1d(x, 3, 1, 1), module.of_maximum.conv.weight)
    torch.testing.assert_close(module(x, None), module.norm(torch.cat([*same, pooled], dim=1)).relu())


def test_one_channel_has_no_bottleneck() -> None:
    first, second, *_ = make(inputs=1).modules_in_order
    assert isinstance(first.bottleneck, nn.Identity) and isinstance(second.bottleneck, Convolution)
    assert make(inputs=1)(torch.randn(2, 5, 1), None).shape == (2, 5, 8)


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2, 3, 5, 6])
def test_the_input_of_three_modules_is_added_behind_them(layers: int) -> None:
    network, x = make(layers=layers), torch.randn(2, 3, 9)
    hidden = before = x
    for number, module in enumerate(network.modules_in_order, 1):
        hidden = module(hidden, None)
        if number in (3, 6):
            shortcut = network.shortcuts[number // 3 - 1]
            hidden = before = (hidden + shortcut.norm(functional.conv1d(before, shortcut.conv.weight))).relu()
    assert len(network.shortcuts) == layers // 3
    torch.testing.assert_close(network(x.transpose(1, 2), None), hidden.transpose(1, 2))


def test_a_maximum_is_that_of_real_steps_and_0_behind_them() -> None:
    x = torch.tensor([[[-3.0, -1.0, -2.0, 9.0, 9.0, 9.0, 9.0]]])
    real = torch.tensor([[[True] * 3 + [False] * 4]])
    assert maximum(x, real, causal=False).tolist() == [[[-1, -1, -1, 0, 0, 0, 0]]]
    assert maximum(x, real, causal=True).tolist() == [[[-3, -1, -1, 0, 0, 0, 0]]]
    assert torch.equal(maximum(x, None, causal=False), functional.max_pool1d(x, 3, 1, 1))


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_in_training_padding_changes_neither_output_nor_gradient(norm: str) -> None:
    padding.assert_changes_nothing(lambda: make(norm=norm))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"width": 6}, "width must be a multiple of 4, a module's branches, but is 6"),
        ({"kernel": 3}, "kernel must be at least 4, so that a quarter of it is a step, but is 3"),
        ({"layers": 0}, "layers must be at least 1, but is 0"),
        ({"norm": "group"}, 'norm must be "layer" or "batch", but is \'group\''),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**table)
