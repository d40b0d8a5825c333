"""PatchTST beside the contract: patches as published, no channel sees another, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from foldline.models.contract import Targets
from foldline.models.systems.patchtst import Config, Patches, PatchTST, ToSteps

STATIC = torch.zeros(2, 0, dtype=torch.long)
SMALL = {"width": 8, "heads": 2, "patch": 4, "stride": 2, "per_channel": 5, "layers": 2}


def make(features: int = 3, levels: tuple[int, ...] = (), targets: Targets | None = None, **table: Any) -> PatchTST:
    torch.manual_seed(0)
    return PatchTST(Config(**{**SMALL, **table}), features, levels, targets or Targets(count=1)).eval()


def series(steps: int = 11, features: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(2, steps, features, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("steps", "patch", "stride", "count"),
    [(336, 16, 8, 42), (512, 16, 8, 64), (80, 16, 8, 10), (11, 4, 3, 4), (3, 4, 2, 1)],
)
def test_a_channel_has_the_papers_number_of_patches(steps: int, patch: int, stride: int, count: int) -> None:
    """42 and 64 are the paper's: PatchTST/42 and PatchTST/64."""
    cut = Patches(Config(patch=patch, stride=stride))
    patches, real = cut(series(steps), torch.ones(2, steps, dtype=torch.bool))
    assert cut.count(steps) == count and patches.shape == (2, 3, count, patch) and real.all()


def test_patches_overlap_and_go_on_with_the_last_value() -> None:
    x = torch.arange(1.0, 8.0).view(1, 7, 1)
    mask = torch.arange(7)[None, :] < torch.tensor([7, 5, 2])[:, None]
    patches, real = Patches(Config(patch=4, stride=2))(x.expand(3, -1, -1), mask)
    assert patches[0, 0].tolist() == [[1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 7]]
    assert patches[1, 0, :2].tolist() == [[1, 2, 3, 4], [3, 4, 5, 5]] and patches[2, 0, 0].tolist() == [1, 2, 2, 2]
    assert real.tolist() == [[True, True, True], [True, True, False], [True, False, False]]


@torch.no_grad()
def test_a_step_has_the_mean_of_what_its_patches_say() -> None:
    torch.manual_seed(0)
    config = Config(**SMALL)
    to_steps, words = ToSteps(config), torch.randn(1, 3, 8)
    torch.nn.init.normal_(to_steps.bias)
    said = torch.einsum("nd,dcp->npc", words[0], to_steps.spread.weight)  # (N, P, c)
    out = to_steps(words, torch.tensor([[True, True, False]]))[0]
    torch.testing.assert_close(out[1], said[0, 1] + to_steps.bias)  # of one patch
    torch.testing.assert_close(out[3], (said[0, 3] + said[1, 1]) / 2 + to_steps.bias)  # of two
    torch.testing.assert_close(out[5], said[1, 3] + to_steps.bias)  # of two, one of which is padding


@torch.no_grad()
@pytest.mark.parametrize("table", [{}, {"instance": True}, {"norm": "batch"}], ids=["plain", "instance", "batch"])
def test_before_the_head_no_channel_sees_another(table: dict[str, Any]) -> None:
    network, x = make(**table), series()
    changed = x.clone()
    changed[:, :, 1] += torch.randn(2, 11)
    before, after = (network(each, STATIC, None)[:, :, :15].view(2, 11, 3, 5) for each in (x, changed))
    assert torch.equal(before[:, :, [0, 2]], after[:, :, [0, 2]])
    assert (before[:, :, 1] != after[:, :, 1]).all()


@torch.no_grad()
def test_all_channels_have_the_same_weights() -> None:
    network, x, order = make(), series(), torch.tensor([2, 0, 1])
    straight = network(x, STATIC, None).view(2, 11, 3, 5)
    torch.testing.assert_close(network(x[:, :, order], STATIC, None).view(2, 11, 3, 5), straight[:, :, order])
    assert {weight.shape for weight in make(7).layers.parameters()} == {w.shape for w in network.layers.parameters()}


@torch.no_grad()
def test_at_the_level_of_series_a_channel_moves_its_own_pooled_numbers_alone() -> None:
    network = make(targets=Targets(count=3, kind="multiclass", level="series"), head={"kind": "softmax"})
    x = series()
    changed = x.clone()
    changed[:, 4, 1] += 3
    before, after = (network.head.pooling(network(each, STATIC, None), None) for each in (x, changed))
    moved = (before != after).view(2, 1, 3, 3, 5).any(dim=4).any(dim=0)[0]  # mean, max and last; channels
    assert moved.tolist() == [[False, True, False]] * 3


@torch.no_grad()
def test_a_layer_is_attention_and_feed_forward_each_added_and_normed() -> None:
    network = make(norm="batch")
    layer, words, real = network.layers[0], torch.randn(2, 4, 8), torch.ones(2, 4, dtype=torch.bool)
    hidden = layer.norm_attention((words + layer.attention(words, None)).transpose(1, 2)).transpose(1, 2)
    expected = layer.norm_ffn((hidden + layer.ffn(hidden)).transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(layer(words, real), expected)


@torch.no_grad()
def test_an_instances_scale_is_gone_from_the_channels_and_stands_beside_them() -> None:
    network, x = make(instance=True), series()
    out, other = network(x, STATIC, None), network(5 * x + 7, STATIC, None)
    torch.testing.assert_close(other[..., :15], out[..., :15], rtol=1e-3, atol=1e-3)
    mean, deviation = x.mean(dim=1), (x.var(dim=1, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(out[:, 0, 15:], torch.cat([mean, deviation], dim=1))
    torch.testing.assert_close(other[:, -1, 15:18], 5 * mean + 7)


def test_default_sizes_are_the_papers() -> None:
    """Appendix A.1.4: 3 layers, 16 heads, d = 128, feed-forward nets of 256."""
    config = Config()
    assert (config.layers, config.heads, config.width, config.ffn * config.width, config.dropout) == (
        3,
        16,
        128,
        256,
        0.2,
    )
    layer = 4 * 128 * 129 + 128 * 256 + 256 + 256 * 128 + 128 + 2 * 2 * 128
    network = PatchTST(config, 7, (), Targets(count=1))
    assert sum(weight.numel() for weight in network.layers.parameters()) == 3 * layer
    assert sum(weight.numel() for weight in network.to_word.parameters()) == 16 * 128 + 128


@torch.no_grad()
def test_embedded_statics_stand_behind_the_channels() -> None:
    network, codes = make(levels=(2,), embed=4), torch.tensor([[1], [2]])
    out = network(series(), codes, None)
    assert out.shape == (2, 11, 15 + 4) and network.embed is not None
    assert torch.equal(out[1, 3, 15:], network.embed.tables[0][2])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"stride": 17}, "stride must be from 1 to patch, .*, but is 17 with patch = 16"),
        ({"stride": 0}, "stride must be from 1 to patch"),
        ({"heads": 3}, "width must be a multiple of heads, but is 128 with 3 heads"),
        ({"patch": 0}, "patch must be at least 1, but is 0"),
        ({"embed": -1}, "embed must not be below 0, but is -1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), but is 1.0"),
        ({"norm": "rms"}, "norm must be"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**table)
