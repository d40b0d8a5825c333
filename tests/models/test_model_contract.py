"""The contract of models/base.py, over every registered block and a hybrid of each; heads: test_heads_contract.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from models.base import Targets
from models.blocks import BLOCKS
from models.hybrid import Config, Hybrid

SERIES, STEPS, FEATURES, WIDTH = 5, 9, 3, 8
TARGETS = Targets(count=2)
LENGTHS = torch.tensor([9, 1, 4, 8, 3])  # an odd number of steps: the signs of an L1 loss never cancel
MASK = torch.arange(STEPS)[None, :] < LENGTHS[:, None]  # (B, T)
WEIGHT = MASK.float()  # every real step is scored


def make_block(kind: str, inputs: int = FEATURES) -> nn.Module:
    torch.manual_seed(0)
    block: nn.Module = BLOCKS[kind].make(BLOCKS[kind].config(width=WIDTH), inputs).eval()
    return block


def make_hybrid(kind: str, **changes: object) -> Hybrid:
    torch.manual_seed(0)
    config = Config(width=WIDTH, blocks=({"kind": kind}, {"kind": kind}), **changes)
    return Hybrid(config, FEATURES, (3, 2), TARGETS).eval()


def batch(seed: int = 1, series: int = SERIES, steps: int = STEPS) -> tuple[Tensor, Tensor]:
    """x (B, T, F) and static codes (B, 2)."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(series, steps, FEATURES, generator=random), torch.arange(series)[:, None] % torch.tensor([4, 3])


every_block = pytest.mark.parametrize("kind", BLOCKS)


@every_block
@pytest.mark.parametrize(("series", "steps", "inputs"), [(1, 1, 1), (2, 5, WIDTH), (3, 17, 11)])
def test_a_block_maps_any_batch_to_its_width(kind: str, series: int, steps: int, inputs: int) -> None:
    out = make_block(kind, inputs)(torch.randn(series, steps, inputs), None)
    assert out.shape == (series, steps, WIDTH) and out.dtype == torch.float32 and out.isfinite().all()


@every_block
@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "padded"])
def test_finite_gradients_reach_every_parameter(kind: str, mask: Tensor | None) -> None:
    network = make_hybrid(kind, embed=2).train()
    x, static = batch()
    raw = network.head(network(x, static, mask))
    network.head.loss(raw, torch.randn_like(raw), WEIGHT, mask).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        dead = (
            "project.bias" in name
        )  # a key's bias shifts all scores alike: softmax cancels it, the others' thirds live
        assert dead or parameter.grad.abs().sum() > 0, name


@every_block
def test_permuting_the_batch_permutes_the_output(kind: str) -> None:
    network, (x, static), order = make_hybrid(kind, embed=2), batch(), torch.tensor([3, 0, 4, 1, 2])
    straight = network(x, static, MASK)[order]
    torch.testing.assert_close(network(x[order], static[order], MASK[order])[MASK[order]], straight[MASK[order]])


@every_block
def test_no_mask_is_a_mask_that_is_true_everywhere(kind: str) -> None:
    network, (x, static) = make_hybrid(kind), batch()
    everywhere = torch.ones(SERIES, STEPS, dtype=torch.bool)
    torch.testing.assert_close(network(x, static, None), network(x, static, everywhere))


@every_block
def test_what_stands_in_the_padding_changes_no_real_step_and_no_loss(kind: str) -> None:
    network, (x, static) = make_hybrid(kind), batch()
    soiled = torch.where(MASK.unsqueeze(-1), x, 1e4 * torch.randn_like(x))
    clean, dirty = network(x, static, MASK), network(soiled, static, MASK)
    torch.testing.assert_close(dirty[MASK], clean[MASK])
    y = torch.randn(SERIES, STEPS, TARGETS.count)
    losses = [network.head.loss(network.head(hidden), y, WEIGHT, MASK) for hidden in (clean, dirty)]
    torch.testing.assert_close(losses[0], losses[1])


@every_block
def test_a_padded_series_is_the_series_alone(kind: str) -> None:
    network, (x, static) = make_hybrid(kind), batch()
    together = network(x, static, MASK)
    for number, length in enumerate(LENGTHS.tolist()):
        alone = network(x[number : number + 1, :length], static[number : number + 1], None)
        torch.testing.assert_close(together[number, :length], alone[0])


@every_block
def test_eval_mode_is_deterministic_and_train_mode_drops_out(kind: str) -> None:
    network, (x, static) = make_hybrid(kind, dropout=0.5), batch()
    assert torch.equal(network(x, static, MASK), network(x, static, MASK))
    network.train()
    assert not torch.equal(network(x, static, MASK), network(x, static, MASK))


@every_block
def test_saved_and_loaded_weights_give_the_same_bits(kind: str, tmp_path: Path) -> None:
    network, (x, static) = make_hybrid(kind, embed=2), batch()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(99)
    other = Hybrid(Config(width=WIDTH, blocks=({"kind": kind}, {"kind": kind}), embed=2), FEATURES, (3, 2), TARGETS)
    other.eval().load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other.head(other(x, static, MASK)), network.head(network(x, static, MASK)))


@every_block
def test_a_block_can_learn_eight_series_by_heart(kind: str) -> None:
    torch.manual_seed(0)
    network = Hybrid(Config(width=24, blocks=({"kind": kind},)), FEATURES, (), Targets(count=1))
    x, static = batch(series=8, steps=6)
    y, scored = torch.randn(8, 6, 1, generator=torch.Generator().manual_seed(2)), torch.ones(8, 6, dtype=torch.bool)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        network.head.loss(network.head(network(x, static, None)), y, scored.float(), None).backward()
        optimiser.step()
    network.eval().requires_grad_(False)
    error = (network.head.predict(network.head(network(x, static, None)), scored) - y).abs().mean()
    assert float(error) < 0.15  # of a target whose mean size is 0.8


@every_block
def test_mixtures_of_one_code_each_are_the_codes(kind: str) -> None:
    network, (x, static) = make_hybrid(kind, embed=2), batch()
    mixture = functional.one_hot(static, 4).float()  # (B, S, L)
    torch.testing.assert_close(network(x, mixture, MASK), network(x, static, MASK))


@every_block
def test_a_block_refuses_no_width(kind: str) -> None:
    with pytest.raises(ValueError, match="width must be"):
        BLOCKS[kind].config(width=0)
