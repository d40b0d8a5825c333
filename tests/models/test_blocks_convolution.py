"""WaveNet and the gated convolutional network beside the contract: fields, gates, skips, what they refuse."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from foldline.models.blocks import glu, wavenet
from foldline.models.ops.covariates import Covariates
from foldline.models.probes import receptive_field


def make_wavenet(inputs: int = 3, known: int = 0, **table: Any) -> wavenet.WaveNet:
    torch.manual_seed(0)
    return wavenet.WaveNet(wavenet.Config(width=6, **table), inputs, known)


def make_glu(inputs: int = 3, **table: Any) -> glu.GLU:
    torch.manual_seed(0)
    return glu.GLU(glu.Config(width=6, **table), inputs)


def probe(steps: int) -> Tensor:
    return torch.randn(1, steps, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layers", [1, 3, 7])
def test_the_papers_wavenet_sees_two_to_the_number_of_layers_steps(layers: int) -> None:
    block = make_wavenet(kernel=2, layers=layers, causal=True).double()
    found = receptive_field(partial(block, mask=None), probe(140), 135)
    assert found == list(range(135 - 2**layers + 1, 136))


def test_the_shipped_wavenet_sees_63_steps_to_either_side() -> None:
    assert receptive_field(partial(make_wavenet().double(), mask=None), probe(140), 70) == list(range(70 - 63, 70 + 64))


@torch.no_grad()
def test_a_wavenet_layer_is_the_papers_formula_with_the_condition_inside_the_gate() -> None:
    block = make_wavenet(known=2, kernel=2, layers=2, causal=True, static="gate")
    layer, x, known = block.layers[0], torch.randn(1, 6, 5), torch.randn(1, 2)
    weight, bias = layer.gates.weight, layer.gates.bias  # (12, 6, 2): rows 0..5 filter, 6..11 gate; tap 1 is now
    before = torch.cat([torch.zeros(6, 1), x[0, :, :-1]], dim=1)
    mixed = weight[:, :, 0] @ before + weight[:, :, 1] @ x[0] + bias[:, None]
    mixed = mixed + (layer.condition.weight @ known[0])[:, None]
    hidden = mixed[:6].tanh() * mixed[6:].sigmoid()
    following, skip = layer(x, None, Covariates(static=known))
    torch.testing.assert_close(
        following[0], x[0] + functional.conv1d(hidden, layer.residual.weight) + layer.residual.bias[:, None]
    )
    torch.testing.assert_close(skip[0], functional.conv1d(hidden, layer.skip.weight) + layer.skip.bias[:, None])


@torch.no_grad()
def test_the_way_out_reads_the_sum_of_all_skips() -> None:
    block, x = make_wavenet(layers=3), torch.randn(2, 9, 3)
    hidden, total = block.project_in(x.transpose(1, 2)), torch.zeros(2, 6, 9)
    for layer in block.layers:
        hidden, skip = layer(hidden, None, Covariates())
        total += skip
    torch.testing.assert_close(block(x, None), block.project_out(total).transpose(1, 2))


@torch.no_grad()
def test_a_closed_gate_lets_nothing_through() -> None:
    block, known = make_wavenet(known=1, layers=1, static="gate"), torch.full((1, 1), 1.0)
    layer = block.layers[0]
    layer.condition.weight[6:] = -1e3  # of the gate
    assert torch.equal(
        layer(torch.randn(1, 6, 5), None, Covariates(static=known))[1][0], layer.skip.bias[:, None].expand(-1, 5)
    )


@pytest.mark.parametrize(("kernel", "layers", "field"), [(5, 6, 25), (3, 12, 25), (7, 2, 13), (1, 3, 1)])
def test_a_glus_field_is_one_and_what_each_layer_adds(kernel: int, layers: int, field: int) -> None:
    table = {"kernel_size": kernel, "layers": layers, "context": field}
    assert glu.Config(**table).field == field
    assert receptive_field(partial(make_glu(**table).double(), mask=None), probe(61), 30) == list(
        range(30 - field // 2, 30 + field // 2 + 1)
    )
    causal = make_glu(**table, causal=True).double()
    assert receptive_field(partial(causal, mask=None), probe(61), 40) == list(range(40 - field + 1, 41))


@torch.no_grad()
def test_a_gated_convolution_is_a_value_times_a_gate() -> None:
    torch.manual_seed(0)
    gated, x = glu.GatedConvolution(3, 4, 3, causal=True), torch.randn(2, 3, 7)
    weight, bias = gated.conv.weight, gated.conv.bias
    value = functional.conv1d(functional.pad(x, (2, 0)), weight[:4], bias[:4])
    gate = functional.conv1d(functional.pad(x, (2, 0)), weight[4:], bias[4:])
    torch.testing.assert_close(gated(x), value * gate.sigmoid())


@torch.no_grad()
def test_a_glu_layer_adds_its_bottleneck_to_its_input() -> None:
    layer, x = make_glu().layers[0], torch.randn(2, 6, 9)
    torch.testing.assert_close(layer(x, None), x + layer.widen(layer.convolve(layer.narrow(x))))
    layer.widen.conv.bias[6:] = -1e9  # of its gate, which is thereby closed
    assert torch.equal(layer(x, None), x)


def test_a_layers_wide_convolution_is_the_narrow_one() -> None:
    layer = make_glu(bottleneck=3).layers[0]
    assert layer.convolve.conv.weight.shape == (2 * 2, 2, 5) and layer.widen.conv.weight.shape == (2 * 6, 2, 1)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"context": 26}, "context needs 26 steps, but 6 layers of kernel_size 5 cover 25: give more layers"),
        ({"kernel_size": 4}, "kernel_size must be odd.*but is 4 with causal = false"),
        ({"kernel_size": 0, "causal": True}, "kernel_size must be at least 1, but is 0"),
        ({"layers": 0}, "layers and bottleneck must be at least 1, but are 0 and 2"),
        ({"bottleneck": 0}, "layers and bottleneck must be at least 1, but are 6 and 0"),
    ],
)
def test_impossible_glu_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        glu.Config(**table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kernel": 2}, "odd and at least 3.*but is 2 with causal = false"),
        ({"kernel": 1, "causal": True}, "at least 2, but is 1 with causal = true"),
        ({"layers": 0}, "layers must be at least 1, but is 0"),
    ],
)
def test_impossible_wavenet_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wavenet.Config(**table)


def test_a_gate_without_statics_is_refused() -> None:
    with pytest.raises(ValueError, match="static = 'gate' needs embedded static columns"):
        make_wavenet(static="gate")
