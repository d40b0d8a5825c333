"""Conformer and Squeezeformer: their modules, in the papers' order, and what padding must not do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.blocks import conformer, squeezeformer
from foldline.models.ops.convolution_module import ConvolutionConfig, ConvolutionModule
from foldline.models.ops.relative_attention import RelativeConfig

KINDS: dict[str, Any] = {
    "conformer": (conformer.Config, conformer.Conformer),
    "squeezeformer": (squeezeformer.Config, squeezeformer.Squeezeformer),
}


def x_of(steps: int = 9) -> Tensor:
    return torch.randn(2, steps, 8, generator=torch.Generator().manual_seed(1))


def make(kind: str, **table: Any) -> nn.Module:
    torch.manual_seed(0)
    config, block = KINDS[kind]
    made: nn.Module = block(config(**{"width": 8, "heads": 2, "kernel": 3, **table}), 8)
    return made.eval()


def silence(linear: nn.Linear) -> None:
    """Let a module add nothing."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)


@torch.no_grad()
def test_a_conformer_goes_half_way_by_each_feed_forward_and_ends_in_a_norm() -> None:
    block, x = make("conformer"), x_of()
    silence(block.attention.project_out)
    silence(block.convolution.narrow)
    half = x + block.first(x) / 2
    torch.testing.assert_close(block(x, None), block.norm(half + block.last(half) / 2))


@torch.no_grad()
def test_a_conformer_attends_first_and_convolves_what_it_found() -> None:
    block, x = make("conformer"), x_of()
    for net in (block.first, block.last):
        silence(net[4])
    attended = x + block.attention(block.norm_attention(x), None)
    expected = block.norm(attended + block.convolution(block.norm_convolution(attended), None))
    torch.testing.assert_close(block(x, None), expected)


@torch.no_grad()
def test_a_squeezeformer_is_attention_and_convolution_each_with_a_whole_feed_forward_and_norms_behind() -> None:
    block, x = make("squeezeformer"), x_of()
    kinds = [type(part.module).__name__ for part in block.parts]
    assert kinds == ["RelativeAttention", "FeedForward", "ConvolutionModule", "FeedForward"]
    expected = x
    for part in block.parts:
        part.scale.normal_()
        part.shift.normal_()
        expected = part.norm(expected + part.module(part.scale * expected + part.shift, None))
    torch.testing.assert_close(block(x, None), expected)
    assert not [module for module in block.parts[0].module.modules() if isinstance(module, nn.LayerNorm)]


@torch.no_grad()
@pytest.mark.parametrize("activation", ["glu", "swish"])
def test_the_convolution_module_is_its_formula(activation: Any) -> None:
    torch.manual_seed(0)
    module, x = ConvolutionModule(ConvolutionConfig(width=4, kernel=3), activation), torch.randn(1, 6, 4)
    wide = module.widen(x)[0]
    inside = wide[:, :4] * wide[:, 4:].sigmoid() if activation == "glu" else wide * wide.sigmoid()
    padded = torch.cat([torch.zeros(1, inside.shape[1]), inside, torch.zeros(1, inside.shape[1])])
    taps = module.depthwise.weight[:, 0]  # (inside, 3): a window for each channel, of that channel alone
    hidden = torch.stack([(padded[t : t + 3].T * taps).sum(dim=1) for t in range(6)]) + module.depthwise.bias
    hidden = functional.silu(functional.layer_norm(hidden, hidden.shape[1:], module.norm.weight, module.norm.bias))
    torch.testing.assert_close(module(x, None)[0], module.narrow(hidden))


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_a_batchs_other_series_change_nothing(kind: str) -> None:
    """As a batch normalisation would, in training: gradients of a batch's parts add up to those of the whole."""
    block, x = make(kind).train(), x_of()
    torch.testing.assert_close(block(torch.cat([x, 100 * x]), None)[:2], block(x, None))


@pytest.mark.parametrize("kind", KINDS)
def test_the_published_norm_is_that_of_the_batchs_real_steps(kind: str) -> None:
    block, x = make(kind, norm="batch").train(), x_of()
    mask = torch.tensor([[True] * 9, [True] * 4 + [False] * 5])
    hidden: list[Tensor] = []
    (module,) = (each for each in block.modules() if isinstance(each, ConvolutionModule))
    module.norm.register_forward_hook(lambda layer, inputs, output: hidden.append(output))
    block(x, mask)
    real = hidden[0].transpose(1, 2)[mask]  # (real steps, inside)
    torch.testing.assert_close(real.mean(dim=0), torch.zeros(real.shape[1]), atol=1e-5, rtol=0)
    torch.testing.assert_close(real.std(dim=0, unbiased=False), torch.ones(real.shape[1]), atol=0.05, rtol=0)
    with pytest.raises(ValueError, match='norm must be "layer" or "batch", but is \'group\''):
        KINDS[kind][0](norm="group")


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_in_each_module(kind: str) -> None:
    block, x = make(kind, dropout=0.5).train(), x_of()
    assert not torch.equal(block(x, None), block(x, None))
    assert len([module for module in block.modules() if isinstance(module, nn.Dropout) and module.p == 0.5]) >= 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_without_a_centre_is_refused(kind: str) -> None:
    config = KINDS[kind][0]
    with pytest.raises(ValueError, match=r"kernel must be odd.*but is 4 with causal = false"):
        config(kernel=4)
    with pytest.raises(ValueError, match="kernel must be at least 1, but is 0 with causal = true"):
        config(kernel=0, causal=True)
    assert issubclass(config, RelativeConfig) and config(kernel=4, causal=True).reach[1] == 0
