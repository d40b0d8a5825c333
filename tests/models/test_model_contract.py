"""The contract of models/contract.py, over every block and a hybrid of each; heads: test_heads_contract.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch
from memorising import memorise
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.blocks import BLOCKS, build, configure
from foldline.models.contract import Targets
from foldline.models.ops.covariates import CovariateBlock, Covariates, set_clocks
from foldline.models.probes import receptive_field
from foldline.models.systems.hybrid import Config, Hybrid

SERIES, STEPS, FEATURES, WIDTH = 5, 9, 3, 8
TARGETS = Targets(count=2)
LENGTHS = torch.tensor([9, 1, 4, 8, 3])  # an odd number of steps: the signs of an L1 loss never cancel
MASK = torch.arange(STEPS)[None, :] < LENGTHS[:, None]  # (B, T)
WEIGHT = MASK.float()  # every real step is scored


RECURRENT = ("lstm", "bilstm", "residual-bilstm", "gru", "mingru", "minlstm", "lru", "stable")
# Name in the messages -> a block's table: every kind as it comes, and the forms that change what it may look at.
FORMS: dict[str, dict[str, Any]] = {kind: {"kind": kind} for kind in BLOCKS} | {
    "glu": {"kind": "glu", "layers": 2, "kernel_size": 3, "context": 5},
    "glu causal": {"kind": "glu", "layers": 2, "kernel_size": 4, "context": 7, "causal": True},
    "inception": {"kind": "inception", "kernel": 8, "layers": 3},
    "inception batch": {"kind": "inception", "layers": 3, "norm": "batch"},
    "inception causal": {"kind": "inception", "kernel": 4, "layers": 3, "causal": True},
    "resnet": {"kind": "se-resnet", "units": 1, "reduction": 0},
    "se-resnet batch": {"kind": "se-resnet", "units": 1, "norm": "batch"},
    "tcn": {"kind": "tcn", "levels": 2},
    "tcn causal": {"kind": "tcn", "levels": 2, "kernel": 2, "causal": True},
    "tsmixer batch": {"kind": "tsmixer", "norm": "batch"},
    "unet attention": {"kind": "unet", "levels": 2, "middle": "attention", "growth": 2, "norm": "batch"},
    "unet none": {"kind": "unet", "middle": "none"},
    "wavenet": {"kind": "wavenet", "layers": 3},
    "wavenet causal": {"kind": "wavenet", "layers": 3, "kernel": 2, "causal": True},
    "wavenet gate": {"kind": "wavenet", "layers": 3, "static": "gate"},
    "transformer time": {"kind": "transformer", "position": "time"},
    **{f"{kind} causal": {"kind": kind, "causal": True, "kernel": 4} for kind in ("conformer", "squeezeformer")},
    "conformer batch": {"kind": "conformer", "norm": "batch"},
    **{f"relative {bias}": {"kind": "relative-transformer", "bias": bias} for bias in ("sinusoid", "slope")},
    **{
        f"relative {bias} causal": {"kind": "relative-transformer", "bias": bias, "causal": True}
        for bias in ("sinusoid", "slope", "bucket")
    },
    "stable rnn": {"kind": "stable", "cell": "rnn"},
    **{
        f"{kind} causal": {"kind": kind, "bidirectional": False}
        for kind in ("gru", "mingru", "minlstm", "lru", "stable")
    },
    **{f"{kind} state": {"kind": kind, "static": "state"} for kind in RECURRENT},
    "bilstm film": {"kind": "bilstm", "static": "film"},
    "residual-bilstm token": {"kind": "residual-bilstm", "static": "token"},
}
NAMES, CENTER, SCALE = ("u", "t", "v"), (0.0, 1.0, 0.0), (1.0, 0.5, 1.0)  # the features; t holds the time, s
STATIC_WIDTH = 4  # E
every_form = pytest.mark.parametrize("form", FORMS)


def make_block(form: str, inputs: int = FEATURES) -> nn.Module:
    torch.manual_seed(0)
    part, config = configure({"width": WIDTH, **FORMS[form]})
    return build(part, config, inputs, STATIC_WIDTH).eval()


def run_block(block: nn.Module, x: Tensor) -> Tensor:
    """The block's output with time and statics of its own where it reads them."""
    if not isinstance(block, CovariateBlock):
        return block(x, None)
    series, steps = x.shape[:2]
    known = torch.linspace(-1, 1, STATIC_WIDTH).to(x).expand(series, -1)
    return block(x, None, Covariates(static=known, time=0.03 * torch.arange(steps).to(x).expand(series, -1)))


def make_hybrid(form: str, blocks: int = 2, seed: int = 0, targets: int = 2, **changes: Any) -> Hybrid:
    torch.manual_seed(seed)
    table = {"width": WIDTH, "embed": 2, "time": "t"} | changes
    network = Hybrid(Config(blocks=(FORMS[form],) * blocks, **table), FEATURES, (3, 2), Targets(count=targets))
    set_clocks(network, NAMES, CENTER, SCALE)
    return network.eval()


def known(mask: Tensor | None) -> Tensor | None:
    """(B, T, K): the targets of all real steps are given."""
    return None if mask is None else mask.unsqueeze(-1).expand(-1, -1, TARGETS.count)


def batch(seed: int = 1, series: int = SERIES, steps: int = STEPS) -> tuple[Tensor, Tensor]:
    """x (B, T, F) and static codes (B, 2)."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(series, steps, FEATURES, generator=random), torch.arange(series)[:, None] % torch.tensor([4, 3])


@every_form
@pytest.mark.parametrize(("series", "steps", "inputs"), [(1, 1, 1), (2, 5, WIDTH), (3, 17, 11)])
def test_a_block_maps_any_batch_to_its_width(form: str, series: int, steps: int, inputs: int) -> None:
    out = run_block(make_block(form, inputs), torch.randn(series, steps, inputs))
    assert out.shape == (series, steps, WIDTH) and out.dtype == torch.float32 and out.isfinite().all()


@every_form
def test_what_a_block_declares_to_reach_is_what_its_gradients_reach(form: str) -> None:
    block, middle = make_block(form).double(), 20
    back, ahead = configure({"width": WIDTH, **FORMS[form]})[1].reach
    x = torch.randn(2, 41, FEATURES, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = receptive_field(partial(run_block, block), x, middle)
    assert found == list(range(max(0, middle - int(min(back, 41))), min(40, middle + int(min(ahead, 41))) + 1))


def test_a_hybrid_reaches_as_far_as_its_blocks_together() -> None:
    config = Config(width=WIDTH, blocks=({"kind": "conv", "kernel": 3}, FORMS["glu causal"]))
    assert config.reach == (2 + 6, 2)
    torch.manual_seed(0)
    network, (x, static) = Hybrid(config, FEATURES, (), TARGETS), batch(series=1, steps=21)
    assert receptive_field(partial(network, static=static, mask=None), x, 10) == list(range(2, 13))
    assert Config(blocks=({"kind": "conv"}, {"kind": "lstm"})).reach == (inf, 4)


@every_form
@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "padded"])
def test_finite_gradients_reach_every_parameter(form: str, mask: Tensor | None) -> None:
    network = make_hybrid(form).train()
    x, static = batch()
    raw = network.head(network(x, static, mask))
    network.head.loss(raw, torch.randn_like(raw), WEIGHT, known(mask)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@every_form
def test_permuting_the_batch_permutes_the_output(form: str) -> None:
    network, (x, static), order = make_hybrid(form), batch(), torch.tensor([3, 0, 4, 1, 2])
    straight = network(x, static, MASK)[order]
    torch.testing.assert_close(network(x[order], static[order], MASK[order])[MASK[order]], straight[MASK[order]])


@every_form
def test_no_mask_is_a_mask_that_is_true_everywhere(form: str) -> None:
    network, (x, static) = make_hybrid(form), batch()
    everywhere = torch.ones(SERIES, STEPS, dtype=torch.bool)
    torch.testing.assert_close(network(x, static, None), network(x, static, everywhere))


@every_form
def test_what_stands_in_the_padding_changes_no_real_step_and_no_loss(form: str) -> None:
    network, (x, static) = make_hybrid(form), batch()
    soiled = torch.where(MASK.unsqueeze(-1), x, 1e4 * torch.randn_like(x))
    clean, dirty = network(x, static, MASK), network(soiled, static, MASK)
    torch.testing.assert_close(dirty[MASK], clean[MASK])
    y = torch.randn(SERIES, STEPS, TARGETS.count)
    losses = [network.head.loss(network.head(hidden), y, WEIGHT, known(MASK)) for hidden in (clean, dirty)]
    torch.testing.assert_close(losses[0], losses[1])


@every_form
def test_a_padded_series_is_the_series_alone(form: str) -> None:
    network, (x, static) = make_hybrid(form), batch()
    together = network(x, static, MASK)
    for number, length in enumerate(LENGTHS.tolist()):
        alone = network(x[number : number + 1, :length], static[number : number + 1], None)
        torch.testing.assert_close(together[number, :length], alone[0])


@every_form
def test_eval_mode_is_deterministic_and_train_mode_drops_out(form: str) -> None:
    network, (x, static) = make_hybrid(form, dropout=0.5), batch()
    assert torch.equal(network(x, static, MASK), network(x, static, MASK))
    network.train()
    assert not torch.equal(network(x, static, MASK), network(x, static, MASK))


@every_form
def test_threads_that_share_it_in_eval_mode_get_the_same_bits(form: str) -> None:
    network, batches = make_hybrid(form), [batch(seed=seed) for seed in range(12)]
    with torch.no_grad():
        alone = [network(*each, MASK) for each in batches]
    run = torch.no_grad()(lambda each: network(*each, MASK))  # each thread has a switch of its own
    with ThreadPoolExecutor(3, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),)) as pool:
        assert all(map(torch.equal, pool.map(run, batches), alone))


@every_form
def test_saved_and_loaded_weights_give_the_same_bits(form: str, tmp_path: Path) -> None:
    network, (x, static) = make_hybrid(form), batch()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    other = make_hybrid(form, seed=99)
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other.head(other(x, static, MASK)), network.head(network(x, static, MASK)))


@pytest.mark.learned
@pytest.mark.parametrize("form", [*BLOCKS, "stable rnn", "transformer time"])
def test_a_block_can_memorise_eight_series(form: str) -> None:
    network = make_hybrid(form, blocks=1, targets=1, width=24)
    x, static = batch(series=8, steps=6)
    y, scored = torch.randn(8, 6, 1, generator=torch.Generator().manual_seed(2)), torch.ones(8, 6, dtype=torch.bool)
    error = memorise(
        network,
        lambda: network.head.loss(network.head(network(x, static, None)), y, scored.float(), None),
        lambda: (network.head.predict(network.head(network(x, static, None)), scored) - y).abs().mean(),
        lr=1e-2,
        steps=800 if form == "time2vec" else 400,  # one linear map of the input: slowest
        bound=0.25,
    )
    assert error < 0.25  # of a target whose mean size is 0.8


@every_form
def test_mixtures_of_one_code_each_are_the_codes(form: str) -> None:
    network, (x, static) = make_hybrid(form), batch()
    mixture = functional.one_hot(static, 4).float()  # (B, S, L)
    torch.testing.assert_close(network(x, mixture, MASK), network(x, static, MASK))


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_block_refuses_no_width(kind: str) -> None:
    with pytest.raises(ValueError, match="width must be"):
        BLOCKS[kind].config(width=0)


@every_form
def test_bfloat16_is_the_same_but_for_its_digits(form: str) -> None:
    network, (x, static) = make_hybrid(form), batch()
    exact = network(x, static, MASK)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(x, static, MASK).float()
    torch.testing.assert_close(rough[MASK], exact[MASK], rtol=0.1, atol=0.1)
    rough.sum().backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters() if weight.grad is not None)
