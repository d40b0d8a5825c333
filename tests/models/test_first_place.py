"""The 1st place's network: the published size, its parts, and the contract of models/contract.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from foldline.models import MODELS
from foldline.models.blocks.residual_bilstm import ResidualBiLSTM
from foldline.models.contract import Targets
from foldline.models.systems.first_place import Config, FirstPlace, TransformerLayer, WindowTransformer

SERIES, STEPS, FEATURES = 6, 9, 4
LENGTHS = torch.tensor([9, 1, 4, 8, 3, 5])  # 1, 3 and 4 steps hold no window of 5
MASK = torch.arange(STEPS)[None, :] < LENGTHS[:, None]  # (B, T)
STATIC = torch.zeros(SERIES, 0, dtype=torch.long)


def make(seed: int = 0, **changes: object) -> FirstPlace:
    torch.manual_seed(seed)
    return FirstPlace(Config(**{"width": 8, "heads": 2, **changes}), FEATURES, (), Targets(count=2)).eval()


def batch() -> Tensor:
    return torch.randn(SERIES, STEPS, FEATURES, generator=torch.Generator().manual_seed(1))


def test_at_the_published_sizes_it_has_the_published_number_of_parameters() -> None:
    part = MODELS["first_place"]
    network = part.make(part.config(), 37, (3, 3), Targets(count=1))
    assert sum(parameter.numel() for parameter in network.parameters()) == 9_085_185


def test_the_body_gives_its_width_at_every_step_and_the_head_the_targets() -> None:
    network = make()
    hidden = network(batch(), STATIC, None)
    assert hidden.shape == (SERIES, STEPS, 8) and network.head(hidden).shape == (SERIES, STEPS, 2)


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 80])
def test_any_number_of_steps_is_taken(steps: int) -> None:
    hidden = make()(torch.randn(2, steps, FEATURES), STATIC[:2], None)
    assert hidden.shape == (2, steps, 8) and hidden.isfinite().all()


@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "padded"])
def test_finite_gradients_reach_every_parameter(mask: Tensor | None) -> None:
    network = make().train()
    raw = network.head(network(batch(), STATIC, mask))
    known = None if mask is None else mask.unsqueeze(-1).expand_as(raw)
    network.head.loss(raw, torch.randn_like(raw), MASK.float(), known).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_permuting_the_batch_permutes_the_output() -> None:
    network, x, order = make(), batch(), torch.tensor([3, 0, 5, 4, 1, 2])
    straight = network(x, STATIC, MASK)[order]
    torch.testing.assert_close(network(x[order], STATIC, MASK[order])[MASK[order]], straight[MASK[order]])


def test_no_mask_is_a_mask_that_is_true_everywhere() -> None:
    network, x = make(), batch()
    torch.testing.assert_close(network(x, STATIC, None), network(x, STATIC, torch.ones_like(MASK)))


def test_what_stands_in_the_padding_changes_no_real_step() -> None:
    network, x = make(), batch()
    soiled = torch.where(MASK.unsqueeze(-1), x, 1e4 * torch.randn_like(x))
    torch.testing.assert_close(network(soiled, STATIC, MASK)[MASK], network(x, STATIC, MASK)[MASK])


def test_a_padded_series_is_the_series_alone() -> None:
    network, x = make(), batch()
    together = network(x, STATIC, MASK)
    for number, length in enumerate(LENGTHS.tolist()):
        alone = network(x[number : number + 1, :length], STATIC[:1], None)
        torch.testing.assert_close(together[number, :length], alone[0])


def test_saved_and_loaded_weights_give_the_same_bits(tmp_path: Path) -> None:
    network, x = make(), batch()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    other = make(seed=99)
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other.head(other(x, STATIC, MASK)), network.head(network(x, STATIC, MASK)))


def test_it_is_deterministic() -> None:
    network, x = make().train(), batch()
    assert torch.equal(network(x, STATIC, MASK), network(x, STATIC, MASK))


def test_in_bfloat16_the_output_is_nearly_the_same() -> None:
    network, x = make(), batch()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(x, STATIC, MASK)
    torch.testing.assert_close(rounded.float()[MASK], network(x, STATIC, MASK)[MASK], atol=0.1, rtol=0.1)


def test_a_residual_lstm_without_weights_is_the_identity() -> None:
    block, x = make().recurrent[0], torch.randn(2, 5, 8)
    assert isinstance(block, ResidualBiLSTM)
    assert not torch.allclose(block(x, None), x, atol=1e-3)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(block(x, None), x)


@torch.no_grad()
@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "padded"])
def test_its_transformer_layer_is_torchs(mask: Tensor | None) -> None:
    torch.manual_seed(0)
    ours, torchs = TransformerLayer(8, heads=2), nn.TransformerEncoderLayer(8, 2, 32, dropout=0.0, batch_first=True)
    names = {
        "attention.project_in.weight": "self_attn.in_proj_weight",
        "attention.project_in.bias": "self_attn.in_proj_bias",
        "attention.project_out": "self_attn.out_proj",
        "ffn.0": "linear1",
        "ffn.2": "linear2",
        "norm_attention": "norm1",
        "norm_ffn": "norm2",
    }
    weights = torchs.state_dict()
    ours.load_state_dict({name: weights[renamed(name, names)] for name in ours.state_dict()})
    x = torch.randn(SERIES, STEPS, 8)
    theirs = torchs(x, src_key_padding_mask=None if mask is None else ~mask)
    torch.testing.assert_close(ours(x, mask)[MASK], theirs[MASK])


def renamed(name: str, names: dict[str, str]) -> str:
    """A parameter's name after the first of `names` that it starts with has been replaced."""
    return next(name.replace(ours, theirs, 1) for ours, theirs in names.items() if name.startswith(ours))


@torch.no_grad()
def test_windows_are_convolved_attended_and_spread_back_by_hand() -> None:
    """With attention taken out: window w sees steps w, w + 1, and step t gets windows t - 1 and t."""
    torch.manual_seed(0)
    block, x = WindowTransformer(Config(width=4, heads=2), kernel=2), torch.randn(1, 3, 4)
    block.transformer = Unchanged()
    conv, deconv = block.conv.weight, block.deconv.weight  # (out, in, 2), (in, out, 2)
    rows = [block.norm_in(conv[:, :, 0] @ x[0, w] + conv[:, :, 1] @ x[0, w + 1] + block.conv.bias) for w in (0, 1)]
    spread = [
        rows[0] @ deconv[:, :, 0],
        rows[0] @ deconv[:, :, 1] + rows[1] @ deconv[:, :, 0],
        rows[1] @ deconv[:, :, 1],
    ]
    expected = x[0] + block.norm_out(torch.stack(spread) + block.deconv.bias)
    torch.testing.assert_close(block(x, None)[0], expected)


class Unchanged(nn.Module):
    """An attention layer that changes nothing."""

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"heads": 3}, "multiple of heads, but is 256 with 3 heads"),
        ({"width": 0}, "multiple of heads, but is 0 with 16 heads"),
        ({"recurrent": -1}, "recurrent must not be below 0, but is -1"),
        ({"kernels": (5, 0)}, "kernels must be at least 1 each, but are 5, 0"),
    ],
)
def test_impossible_sizes_are_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**table)
