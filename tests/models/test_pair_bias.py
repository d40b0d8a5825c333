"""Attention with matrices of pairs: the formula, padding, and a task that nothing but the matrix tells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from foldline.data.pairs import pair_columns, pair_names
from foldline.fit import network_build
from foldline.models.contract import Targets
from foldline.models.ops import pairs
from foldline.models.ops.covariates import Covariates
from foldline.models.ops.relative_attention import RelativeAttention, RelativeConfig

NAMES = ["u", *pair_names("bpp", 1)]


@torch.no_grad()
@pytest.mark.parametrize("bias", ["sinusoid", "bucket", "slope"])
def test_scores_get_each_matrix_by_each_heads_weight(bias: Any) -> None:
    torch.manual_seed(0)
    attention = RelativeAttention(RelativeConfig(width=8, heads=2, bias=bias, pairs=("a", "b")))
    plain = RelativeAttention(RelativeConfig(width=8, heads=2, bias=bias))
    plain.load_state_dict(attention.state_dict(), strict=False)
    assert attention.of_pairs.tolist() == [[8, 8], [0, 0]]
    attention.of_pairs.normal_()
    x, matrices = torch.randn(3, 5, 8), torch.randn(3, 2, 5, 5)
    # What softmax weighs: exp(score + bias) is exp(score) exp(bias), put together head by head from torch's own.
    query, key, value = plain.project_in(x).view(3, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
    seen: list[Tensor] = []
    original = nn.functional.scaled_dot_product_attention
    for made in (plain, attention):
        hook = pytest.MonkeyPatch()
        hook.setattr(
            nn.functional,
            "scaled_dot_product_attention",
            lambda *args, attn_mask: seen.append(attn_mask) or original(*args, attn_mask=attn_mask),
        )
        out = made(x, None, matrices if made is attention else None)
        hook.undo()
    more = torch.stack(
        [sum(attention.of_pairs[head, n] * matrices[:, n] for n in range(2)) for head in range(2)], dim=1
    )
    torch.testing.assert_close(seen[1] - seen[0], more, atol=1e-5, rtol=1e-5)
    content = query + (plain.bias.content if bias == "sinusoid" else 0)
    scores = content @ key.transpose(2, 3) / 2 + seen[0] + more
    mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(3, 5, 8)
    torch.testing.assert_close(out, attention.project_out(mixed))


def network_of(name: str = "hybrid", heads: int = 2, **table: Any) -> nn.Module:
    """A network of one block that reads the pairs of NAMES, not scaled."""
    block = {"kind": "relative-transformer", "pairs": ["bpp"], "heads": heads, **table}
    params = {
        "width": 16,
        ("branches" if name == "branches" else "blocks"): ({"blocks": (block,)} if name == "branches" else block,),
    }
    made = network_build.build(name, params, len(NAMES), (), Targets(count=1), NAMES)
    pairs.set_columns(made, NAMES, [0.0] * 3, [1.0] * 3, 3)
    return made


def partners(count: int, steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """Series of noise in random pairs: x (B, T, 3), and each step's partner's noise, (B, T)."""
    rng = np.random.default_rng(seed)
    x, y = np.zeros((count, steps, 3), dtype=np.float32), np.zeros((count, steps), dtype=np.float32)
    for series in range(count):
        noise, matrix = rng.normal(size=steps), np.zeros((steps, steps))
        one, other = rng.permutation(steps).reshape(2, -1)
        matrix[one, other] = matrix[other, one] = 1.0
        x[series] = np.stack([noise, *pair_columns("bpp", matrix, steps, 1).values()], axis=1)
        y[series] = matrix @ noise
    return torch.from_numpy(x), torch.from_numpy(y)


def test_a_task_that_only_the_matrix_tells() -> None:
    torch.manual_seed(0)
    network, static = network_of(), torch.zeros(0, 0)
    head: Any = network.head
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    every_x, every_y = partners(256, 12, 0)
    for step in range(150):
        x, y = (each[16 * (step % 16) :][:16] for each in (every_x, every_y))
        loss = (head(network(x, static, None))[..., 0] - y).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, y = partners(32, 20, 1)  # longer ones
    with torch.no_grad():
        error = float((head(network(x, static, None))[..., 0] - y).square().mean())
        x[..., 1] = x.flip(1)[..., 1]  # partners of other steps
        lost = float((head(network(x, static, None))[..., 0] - y).square().mean())
    assert error < 0.2 < 0.9 < lost  # the noise's variance is 1, and no other step tells a partner's


@torch.no_grad()
@pytest.mark.parametrize("kind", ["relative-transformer", "conformer", "squeezeformer"])
@pytest.mark.parametrize("name", ["hybrid", "branches"])
def test_padding_changes_nothing_and_partners_behind_the_end_are_none(name: str, kind: str) -> None:
    torch.manual_seed(0)
    network, (x, _) = network_of(name, kind=kind).eval(), partners(2, 12, 0)
    x = x[:, :8]  # a crop: some partners are behind it
    mask = torch.arange(11).expand(2, -1) < 8
    for filler in (0.0, 2.0):
        padded = torch.cat([x, torch.full((2, 3, 3), filler)], dim=1)
        torch.testing.assert_close(network(padded, torch.zeros(2, 0), mask)[:, :8], network(x, torch.zeros(2, 0), None))
    other = x.clone()
    other[..., 2] = 0
    assert not torch.allclose(network(other, torch.zeros(2, 0), None), network(x, torch.zeros(2, 0), None))


def test_what_is_not_there_is_refused() -> None:
    made = network_build.build(
        "hybrid", {"blocks": ({"kind": "conformer", "pairs": ["bpp"]},)}, 3, (), Targets(count=1)
    )
    with pytest.raises(ValueError, match="their columns are not set"):
        made(torch.zeros(1, 4, 3), torch.zeros(1, 0), None)
    with pytest.raises(ValueError, match=r"'bpp' has none\. Did you mean 'bp'\? Known: bp\."):
        pairs.set_columns(made, ["u", *pair_names("bp", 1)], [0.0] * 3, [1.0] * 3, 3)
    with pytest.raises(ValueError, match=r"partner\(bpp.1\) needs pair\(bpp.1\)"):
        pairs.set_columns(made, ["u", "partner(bpp.1)"], [0.0] * 2, [1.0] * 2, 2)
    with pytest.raises(ValueError, match="different names of matrices"):
        RelativeConfig(pairs=("a", "a"))
    block = RelativeAttention(RelativeConfig(width=8, heads=2))
    assert not hasattr(block, "of_pairs") and Covariates().matrices(()) is None
    with pytest.raises(ValueError, match="pass Covariates"):
        Covariates().matrices(("bpp",))
    assert math.isinf(RelativeConfig(pairs=("bpp",)).reach[0])
