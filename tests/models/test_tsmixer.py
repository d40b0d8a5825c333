"""What the tsmixer block promises beside the contract: its formula, its places, pieces of what is longer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from foldline.models.blocks import tsmixer


def make(inputs: int = 6, **table: object) -> tsmixer.TSMixer:
    torch.manual_seed(0)
    return tsmixer.TSMixer(tsmixer.Config(**{"width": 6, "steps": 9, **table}), inputs).eval()


def x_of(steps: int, series: int = 2, inputs: int = 6) -> Tensor:
    return torch.randn(series, steps, inputs, generator=torch.Generator().manual_seed(1))


def normed(norm: nn.LayerNorm, row: Tensor) -> Tensor:
    return (row - row.mean()) / (row.var(correction=0) + norm.eps).sqrt() * norm.weight + norm.bias


def slow_layer(layer: tsmixer.Layer, x: Tensor) -> Tensor:
    """(T, C) -> (T, C), a number at a time; the dropout is off."""
    steps, channels = x.shape
    read = torch.stack([normed(layer.norm_steps, row) for row in x])
    weight, bias = layer.over_steps.weight, layer.over_steps.bias
    out = x.clone()
    for step in range(steps):
        for channel in range(channels):
            total = bias[step]
            for other in range(steps):
                total = total + weight[step, other] * read[other, channel]
            out[step, channel] += total.clamp(min=0)
    first, last = layer.over_channels[0], layer.over_channels[3]
    rows = []
    for row in out:
        hidden = (first.weight @ normed(layer.norm_channels, row) + first.bias).clamp(min=0)
        rows.append(row + last.weight @ hidden + last.bias)
    return torch.stack(rows)


@torch.no_grad()
@pytest.mark.parametrize("steps", [9, 5])
def test_a_layer_is_the_papers_two_maps_channel_by_channel_and_step_by_step(steps: int) -> None:
    block, x = make(), x_of(steps)
    for norm in (norm for layer in block.layers for norm in (layer.norm_steps, layer.norm_channels)):
        norm.bias.copy_(torch.linspace(-1, 1, 6))
    expected = [slow_layer(block.layers[1], slow_layer(block.layers[0], series)) for series in x]
    torch.testing.assert_close(block(x, None), torch.stack(expected))


@torch.no_grad()
def test_what_a_step_takes_from_another_is_learned_for_their_places() -> None:
    block = make(layers=1)
    for part in (block.layers[0].over_channels[3], block.layers[0].over_steps):
        part.weight.zero_(), part.bias.zero_()
    block.layers[0].over_steps.weight[7, 2] = 1.0
    x = x_of(9)
    changed = (block(x, None) - x).abs().sum(dim=2) > 0
    assert changed.any(dim=0).nonzero().flatten().tolist() == [7]
    block.layers[0].over_steps.weight[7, 2] = 0.0
    torch.testing.assert_close(block(x, None), x)


@torch.no_grad()
@pytest.mark.parametrize("steps", [10, 18, 25])
def test_a_series_longer_than_steps_is_mixed_in_pieces(steps: int) -> None:
    block, x = make(), x_of(steps)
    pieces = [block(piece, None) for piece in x.split(9, dim=1)]
    torch.testing.assert_close(block(x, None), torch.cat(pieces, dim=1))
    mask = torch.arange(steps) < torch.tensor([[steps], [11]]).clamp(max=steps)
    torch.testing.assert_close(block(x, mask)[0], block(x, None)[0])
    torch.testing.assert_close(block(x, mask)[1, :11], block(x[1:, :11], None)[0])


@torch.no_grad()
def test_dropout_is_behind_each_of_the_three_maps() -> None:
    block = make(layers=1, dropout=0.5).train()
    layer = block.layers[0]
    over_steps, narrow, wide = layer.over_steps, layer.over_channels[0], layer.over_channels[3]
    for part in (over_steps, narrow, wide):
        part.weight.zero_(), part.bias.zero_()
    x = x_of(9, series=50)

    def added() -> set[float]:
        return {round(float(value), 3) for value in (block(x, None) - x).flatten()}

    over_steps.bias.fill_(1.0)
    assert added() == {0.0, 2.0}  # doubled, or gone
    over_steps.bias.zero_(), wide.bias.fill_(1.0)
    assert added() == {0.0, 2.0}
    wide.bias.zero_(), narrow.bias.fill_(1.0), wide.weight.fill_(1.0)
    assert added() > {0.0} and {value % 4 for value in added()} == {0.0}  # a sum of doubled ones, doubled


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, but is 0"),
        ({"layers": 0}, "layers must be at least 1, but is 0"),
        ({"ffn": 0}, "ffn must be at least 1, but is 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), but is 1.0"),
        ({"norm": "group"}, 'norm must be "layer" or "batch", but is \'group\''),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tsmixer.Config(**table)
