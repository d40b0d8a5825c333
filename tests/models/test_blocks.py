"""What each block promises for itself: how far it looks, what breaks its symmetry, and which configs it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from foldline.models.blocks import bilstm, conv, transformer


def reach(block: nn.Module, steps: int, inputs: int, step: int) -> list[int]:
    """The input steps that the output at `step` depends on, measured by its gradient."""
    x = torch.randn(1, steps, inputs, generator=torch.Generator().manual_seed(0), requires_grad=True)
    block(x, None)[0, step].sum().backward()
    assert x.grad is not None
    return x.grad[0].abs().sum(dim=-1).nonzero().flatten().tolist()


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_conv_block_looks_kernel_less_one_steps_to_either_side(kernel: int) -> None:
    torch.manual_seed(0)
    block = conv.Conv(conv.Config(width=4, kernel=kernel), 3)
    far = kernel - 1
    assert reach(block, 21, 3, step=10) == list(range(10 - far, 10 + far + 1))


@pytest.mark.parametrize("kernel", [0, 2, -3])
def test_a_conv_block_refuses_a_kernel_without_a_centre(kernel: int) -> None:
    with pytest.raises(ValueError, match=f"kernel must be odd.*but is {kernel}"):
        conv.Config(kernel=kernel)


def test_both_directions_of_a_bilstm_reach_the_other_end() -> None:
    torch.manual_seed(0)
    block = bilstm.BiLSTM(bilstm.Config(width=8), 3)
    assert reach(block, 12, 3, step=0) == reach(block, 12, 3, step=11) == list(range(12))


def test_the_first_half_of_a_bilstm_sees_the_past_and_the_second_the_future() -> None:
    torch.manual_seed(0)
    block, x = bilstm.BiLSTM(bilstm.Config(width=8), 3), torch.randn(2, 6, 3)
    changed = torch.cat([x[:, :3], x[:, 3:] + 1.0], dim=1)  # from step 3 on
    before, after = block(x, None), block(changed, None)
    assert torch.equal(before[:, :3, :4], after[:, :3, :4])
    assert not torch.isclose(before[:, :3, 4:], after[:, :3, 4:]).any()


def test_the_backward_pass_starts_at_the_last_real_step() -> None:
    torch.manual_seed(0)
    block, x = bilstm.BiLSTM(bilstm.Config(width=4), 2), torch.randn(1, 6, 2)
    mask = torch.tensor([[True] * 4 + [False] * 2])
    torch.testing.assert_close(block(x, mask)[:, :4], block(x[:, :4], None))


@pytest.mark.parametrize("width", [1, 7])
def test_a_bilstm_refuses_a_width_that_does_not_halve(width: int) -> None:
    with pytest.raises(ValueError, match=f"width must be even.*but is {width}"):
        bilstm.Config(width=width)


def shuffled(block: nn.Module) -> tuple[Tensor, Tensor]:
    """The block's output of permuted steps, and its permuted output."""
    x, order = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([4, 2, 0, 6, 1, 5, 3])
    return block(x[:, order], None), block(x, None)[:, order]


def test_a_transformer_without_position_does_not_know_the_order_of_steps() -> None:
    torch.manual_seed(0)
    permuted, expected = shuffled(transformer.Transformer(transformer.Config(width=8, position="none"), 3))
    torch.testing.assert_close(permuted, expected)


def test_a_transformer_with_position_knows_it() -> None:
    torch.manual_seed(0)
    permuted, expected = shuffled(transformer.Transformer(transformer.Config(width=8), 3))
    assert not torch.allclose(permuted, expected, atol=1e-2)


def test_attention_is_softmax_of_scaled_dot_products() -> None:
    torch.manual_seed(0)
    block, x = transformer.Transformer(transformer.Config(width=4, heads=2), 4), torch.randn(1, 3, 4)
    query, key, value = block.attention.project_in(x)[0].chunk(
        3, dim=-1
    )  # (T, 4) each: head 0 in columns 0, 1, head 1 in 2, 3
    heads = [
        torch.softmax(query[:, part] @ key[:, part].T / 2**0.5, dim=-1) @ value[:, part]
        for part in (slice(0, 2), slice(2, 4))
    ]
    torch.testing.assert_close(block.attention(x, None)[0], block.attention.project_out(torch.cat(heads, dim=-1)))


@torch.no_grad()
@pytest.mark.parametrize("mask", [None, torch.tensor([[True] * 5, [True] * 2 + [False] * 3])], ids=["full", "padded"])
def test_a_transformer_is_torchs_encoder_layer_with_its_norms_in_front(mask: Tensor | None) -> None:
    torch.manual_seed(0)
    ours, x = transformer.Transformer(transformer.Config(width=8, ffn=4, position="none"), 8), torch.randn(2, 5, 8)
    torchs = nn.TransformerEncoderLayer(8, 4, 32, 0.0, "gelu", batch_first=True, norm_first=True)
    pairs = [
        (torchs.linear1, ours.ffn[0]),
        (torchs.linear2, ours.ffn[2]),
        (torchs.self_attn.out_proj, ours.attention.project_out),
    ]
    pairs += [(torchs.norm1, ours.norm_attention), (torchs.norm2, ours.norm_ffn)]
    for theirs, own in pairs:
        theirs.load_state_dict(own.state_dict())
    torchs.self_attn.in_proj_weight.copy_(ours.attention.project_in.weight)
    torchs.self_attn.in_proj_bias.copy_(ours.attention.project_in.bias)
    real = torch.ones(2, 5, dtype=torch.bool) if mask is None else mask
    expected = torchs(x, src_key_padding_mask=None if mask is None else ~mask)
    torch.testing.assert_close(ours(x, mask)[real], expected[real])


def test_sinusoids_are_those_of_the_paper() -> None:
    code = transformer.step_encoding(3, 5, torch.device("cpu"))
    rate = 10_000 ** (-2 / 5)
    step = torch.tensor(2.0)
    expected = [step.sin(), step.cos(), (step * rate).sin(), (step * rate).cos(), (step * rate**2).sin()]
    torch.testing.assert_close(code[2], torch.stack(expected))


@pytest.mark.parametrize(("width", "heads"), [(6, 4), (8, 0), (8, -2)])
def test_a_transformer_refuses_heads_that_do_not_divide_its_width(width: int, heads: int) -> None:
    with pytest.raises(ValueError, match=f"multiple of heads, but is {width} with {heads} heads"):
        transformer.Config(width=width, heads=heads)


@pytest.mark.parametrize("ffn", [0, -1])
def test_a_transformer_refuses_a_feed_forward_net_without_width(ffn: int) -> None:
    with pytest.raises(ValueError, match=f"ffn must be at least 1, but is {ffn}"):
        transformer.Config(ffn=ffn)
