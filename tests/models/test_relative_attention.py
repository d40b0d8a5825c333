"""Attention by distance: each form is its paper's formula, and a shift of all steps changes nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from foldline.models.blocks import relative_transformer, transformer
from foldline.models.ops import relative_attention
from foldline.models.ops.relative_attention import BucketBias, RelativeAttention, RelativeConfig, aligned, distances

CPU = torch.device("cpu")
forms = pytest.mark.parametrize("bias", ["sinusoid", "bucket", "slope"])


def make(steps_apart: bool = True, **table: Any) -> RelativeAttention:
    """An attention whose distances matter much."""
    torch.manual_seed(0)
    made = RelativeAttention(RelativeConfig(**{"width": 8, "heads": 2, **table}))
    with torch.no_grad():
        for weight in made.bias.parameters() if steps_apart else ():
            weight.add_(torch.randn_like(weight))
    return made


def slow(attention: RelativeAttention, x: Tensor, bias: Any) -> Tensor:
    """The formula, a head, query and key at a time. bias: (head, query (d,), distance) -> number, before sqrt(d)."""
    parts = attention.project_in(x).chunk(3, dim=-1)  # of one series, (T, 8) each
    out = torch.zeros_like(x)
    for head in range(2):
        query, key, value = (part[:, 4 * head : 4 * head + 4] for part in parts)
        for i in range(len(x)):
            scores = torch.stack([query[i] @ key[j] / 2 + bias(head, query[i], key[j], j - i) for j in range(len(x))])
            out[i, 4 * head : 4 * head + 4] = scores.softmax(dim=0) @ value
    return attention.project_out(out)


def test_what_is_known_a_distance_is_put_to_its_keys() -> None:
    for steps in (1, 2, 5):
        rows = distances(steps, CPU).expand(3, steps, -1)
        i, j = torch.arange(steps)[:, None], torch.arange(steps)[None, :]
        assert torch.equal(aligned(rows), (j - i).expand(3, -1, -1))


@torch.no_grad()
def test_a_sinusoid_is_transformer_xls_score() -> None:
    attention, x = make(bias="sinusoid"), torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    own = attention.bias

    def bias(head: int, query: Tensor, key: Tensor, distance: int) -> Tensor:
        angles = [distance / 10_000 ** (2 * k / 8) for k in range(4)]
        code = torch.tensor([math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles])
        relative = (own.project.weight @ code)[4 * head : 4 * head + 4]
        return (own.content[head, 0] @ key + (query + own.position[head, 0]) @ relative) / 2

    torch.testing.assert_close(attention(x.unsqueeze(0), None)[0], slow(attention, x, bias))


@torch.no_grad()
def test_a_slope_falls_with_the_distance_by_its_direction() -> None:
    attention, x = make(bias="slope"), torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    slopes = attention.bias.log_slopes.exp()
    expected = slow(attention, x, lambda head, q, k, distance: -slopes[head, int(distance > 0)] * abs(distance))
    torch.testing.assert_close(attention(x.unsqueeze(0), None)[0], expected)


def test_slopes_start_as_the_papers() -> None:
    slopes = make(steps_apart=False, width=8, heads=8, bias="slope", causal=True).bias.log_slopes.exp()
    torch.testing.assert_close(slopes[:, 0], torch.tensor([2.0**-n for n in range(1, 9)]))


@torch.no_grad()
def test_a_bucket_is_a_learned_number_a_head() -> None:
    attention, x = make(bias="bucket"), torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    table, place = attention.bias.table, {d: d + 16 if d > 0 else -d for d in range(-4, 5)}  # all are exact
    expected = slow(attention, x, lambda head, q, k, distance: table[place[distance], head])
    torch.testing.assert_close(attention(x.unsqueeze(0), None)[0], expected)


@pytest.mark.parametrize(("buckets", "distance", "causal"), [(32, 128, False), (32, 128, True), (8, 20, False)])
def test_buckets_are_those_of_t5(buckets: int, distance: int, causal: bool) -> None:
    """Near distances have one each, then they grow as powers, and all from `distance` on are the last one."""
    made = BucketBias(RelativeConfig(heads=2, buckets=buckets, distance=distance, causal=causal))
    each = buckets if causal else buckets // 2
    exact, found = each // 2, made.bucket(torch.arange(0, -200, -1)).tolist()

    def t5(far: int) -> int:
        if far < exact:
            return far
        grown = math.log(far / exact) / math.log(distance / exact) * (each - exact)
        return min(exact + int(grown + 1e-9), each - 1)

    assert found == [t5(far) for far in range(200)]
    assert max(found) == each - 1 and min(far for far in range(200) if found[far] == each - 1) < distance
    if not causal:
        assert made.bucket(torch.arange(1, 200)).tolist() == [each + t5(far) for far in range(1, 200)]


@forms
@pytest.mark.parametrize("causal", [False, True])
@torch.no_grad()
def test_a_shift_of_all_steps_changes_nothing(bias: Any, causal: bool) -> None:
    """The steps stand further back in a longer series: to a Transformer with codes of positions that is another."""
    torch.manual_seed(0)
    block = relative_transformer.RelativeTransformer(relative_transformer.Config(width=8, bias=bias, causal=causal), 3)
    x, mask = torch.randn(2, 12, 3), torch.arange(12).expand(2, -1) >= 5
    torch.testing.assert_close(block(x, mask)[:, 5:], block(x[:, 5:], None))
    absolute = transformer.Transformer(transformer.Config(width=8), 3)
    assert not torch.allclose(absolute(x, mask)[:, 5:], absolute(x[:, 5:], None), atol=1e-2)


@forms
@torch.no_grad()
def test_the_order_of_steps_is_known(bias: Any) -> None:
    attention, x = make(bias=bias), torch.randn(2, 7, 8)
    assert not torch.allclose(attention(x.flip(1), None), attention(x, None).flip(1), atol=1e-2)


def test_a_bias_alone_learns_to_look_three_steps_back() -> None:
    """Without any content: queries and keys are 0, so that only the distance can tell one step from another."""
    torch.manual_seed(0)
    attention, back = RelativeAttention(RelativeConfig(width=4, heads=1, bias="bucket")), 3
    with torch.no_grad():
        attention.project_in.weight.copy_(torch.cat([torch.zeros(8, 4), torch.eye(4)]))
        attention.project_in.bias.zero_()
        attention.project_out.weight.copy_(torch.eye(4))
        attention.project_out.bias.zero_()
    optimiser = torch.optim.Adam(attention.bias.parameters(), lr=0.5)
    for _ in range(60):
        x = torch.randn(8, 12, 4)
        optimiser.zero_grad()
        (attention(x, None)[:, back:] - x[:, :-back]).square().mean().backward()
        optimiser.step()
    x = torch.randn(1, 40, 4)  # longer than any of training
    torch.testing.assert_close(attention(x, None)[:, back:], x[:, :-back], atol=0.1, rtol=0)
    table = attention.bias.table.detach()[:, 0]
    assert int(table.argmax()) == back


@forms
def test_a_causal_attention_has_no_gradient_of_later_steps(bias: Any) -> None:
    attention, x = make(bias=bias, causal=True), torch.randn(1, 9, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(attention(x, None)[0, 4].square().sum(), x)
    assert slope[0, :5].abs().sum(dim=-1).all() and not slope[0, 5:].any()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"width": 6}, "width must be a multiple of heads, but is 6 with 4 heads"),
        ({"heads": 0}, "multiple of heads, but is 64 with 0 heads"),
        ({"buckets": 6}, "buckets must be a multiple of 4.*but is 6"),
        ({"distance": 8}, "distance must be above 8.*but is 8 with 32 buckets"),
        ({"distance": 16, "causal": True}, "distance must be above 16.*but is 16"),
        ({"ffn": 0}, "ffn must be at least 1, but is 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), but is 1.0"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        relative_attention.RelativeConfig(**table)
