"""TFT: selection weights sum to one, one attention matrix, gates that close, and what each ablation takes away."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from foldline.models.contract import Targets
from foldline.models.systems.tft import TFT
from foldline.models.systems.tft_attention import FixedAttention, SharedAttention
from foldline.models.systems.tft_config import Config
from foldline.models.systems.tft_selection import (
    GatedLinearUnit,
    GatedResidualNetwork,
    VariableNetworks,
    VariableSelection,
)

CONFIG = Config(width=8, heads=2, dropout=0.0)
LEVELS = (3, 2)


def make(**changes: Any) -> TFT:
    torch.manual_seed(0)
    return TFT(Config(**{"width": 8, "heads": 2, **changes}), 3, LEVELS, Targets(count=1)).eval()


@torch.no_grad()
def test_selection_weights_sum_to_one_and_depend_on_step_and_context() -> None:
    select, variables = VariableSelection(3, 8, CONFIG, context=True), torch.randn(2, 5, 3, 8)
    chosen, weights = select(variables, torch.randn(2, 8))
    assert chosen.shape == (2, 5, 8) and weights.shape == (2, 5, 3)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 5))
    assert weights[0].std(dim=0).min() > 0
    assert not torch.allclose(select(variables, torch.randn(2, 8))[1], weights)
    torch.testing.assert_close(chosen, (weights.unsqueeze(-1) * select.networks(variables)).sum(dim=2))


@torch.no_grad()
def test_the_networks_of_all_variables_are_a_gated_residual_network_each() -> None:
    torch.manual_seed(0)
    each, one = VariableNetworks(2, 8, CONFIG), GatedResidualNetwork(8, 8, CONFIG)
    for parameter in each.biases:
        parameter.normal_()
    for linear, weight, bias in zip(
        (one.first, one.second, one.unit.map), (each.first, each.second, each.unit), each.biases, strict=True
    ):
        linear.weight.copy_(weight[1].T)
        linear.bias.copy_(bias[1])
    x = torch.randn(3, 4, 2, 8)
    torch.testing.assert_close(each(x)[:, :, 1], one(x[:, :, 1], None))


@torch.no_grad()
def test_heads_share_one_value_and_one_matrix() -> None:
    attend, x = SharedAttention(CONFIG), torch.randn(2, 5, 8)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    out, weights = attend(x, mask)
    assert attend.value.out_features == 4 and weights.shape == (2, 5, 5)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 5))
    assert not weights[1, :, 2:].any()
    torch.testing.assert_close(out, attend.out(weights @ attend.value(x)))
    queries, keys = attend.query(x[0]).view(5, 2, 4), attend.key(x[0]).view(5, 2, 4)
    by_hand = [torch.softmax(queries[:, head] @ keys[:, head].T / 2, dim=-1) for head in range(2)]  # sqrt(4) = 2
    torch.testing.assert_close(weights[0], (by_hand[0] + by_hand[1]) / 2)


@torch.no_grad()
def test_the_network_is_the_papers_equations_one_after_the_other() -> None:
    network, x, static = make(causal=True), torch.randn(2, 5, 3), torch.tensor([[1, 1], [3, 2]])
    assert network.statics is not None and network.embed is not None and network.local is not None
    context = network.statics(network.embed(static).view(2, 2, 8))
    chosen, _ = network.selection(x.unsqueeze(-1) * network.scale + network.shift, context["selection"])
    near = network.local.lstm(chosen, (context["h0"][None], context["c0"][None]))[0]
    local = network.norm_local(chosen + network.unit_local(near))  # eq. 17
    enriched = network.enrich(local, context["enrichment"])  # eq. 18
    mixed = network.norm_attention(
        enriched + network.unit_attention(network.attention(enriched, None)[0])
    )  # eq. 19, 20
    wanted = network.norm_out(local + network.unit_out(network.feed_forward(mixed, None)))  # eq. 21, 22
    torch.testing.assert_close(network(x, static, None), wanted)


@torch.no_grad()
def test_a_gated_residual_network_is_its_equations() -> None:
    grn, a, c = GatedResidualNetwork(6, 8, CONFIG, context=True), torch.randn(2, 3, 6), torch.randn(2, 8)
    assert grn.context is not None
    inner = nn.functional.elu(grn.first(a) + (c @ grn.context.weight.T)[:, None])  # eq. 4
    gated = nn.functional.glu(grn.unit.map(grn.second(inner)), dim=-1)  # eq. 3, 5
    torch.testing.assert_close(grn(a, c), nn.functional.layer_norm(grn.skip(a) + gated, (8,)))  # eq. 2


@torch.no_grad()
def test_a_closed_gate_leaves_the_skip() -> None:
    network, x = GatedResidualNetwork(8, 8, CONFIG), torch.randn(2, 3, 8)
    network.unit.map.bias[:] = 0
    network.unit.map.weight[:] = 0
    network.unit.map.bias[8:] = -1e9  # sigmoid(-inf) = 0
    torch.testing.assert_close(network(x, None), nn.functional.layer_norm(x, (8,)))


@torch.no_grad()
def test_without_gating_a_unit_is_linear_and_elu() -> None:
    unit, x = GatedLinearUnit(8, 8, Config(width=8, heads=2, dropout=0.0, gating=False)), torch.randn(2, 3, 8)
    torch.testing.assert_close(unit(x), nn.functional.elu(unit.map(x)))


def test_each_published_ablation_takes_its_part_away() -> None:
    whole = make()
    assert make(static_encoders=False).statics is None and whole.statics is not None
    assert (
        make(static_encoders=False).scale.shape[0] == 3
        and make(static_encoders=False).selection.networks.first.shape[0] == 5
    )
    assert make(selection=False).selection.weights is None and whole.selection.weights is not None
    assert isinstance(make(attention=False).attention, FixedAttention) and isinstance(whole.attention, SharedAttention)
    assert make(recurrence=False).local is None and whole.local is not None
    units = [module for module in make(gating=False).modules() if isinstance(module, GatedLinearUnit)]
    assert units and all(unit.map.out_features == unit.map.bias.numel() and not unit.gating for unit in units)


@torch.no_grad()
def test_statics_enter_through_all_four_contexts() -> None:
    network, x = make(), torch.randn(2, 4, 3)
    first, other = torch.tensor([[1, 1], [2, 2]]), torch.tensor([[3, 1], [2, 2]])
    assert network.statics is not None and set(network.statics.contexts) == {"selection", "enrichment", "h0", "c0"}
    before, after = network(x, first, None), network(x, other, None)
    assert not torch.allclose(before[0], after[0]) and torch.equal(before[1], after[1])


@torch.no_grad()
def test_a_learned_matrix_is_the_same_for_all_series_and_refuses_longer_ones() -> None:
    attend = FixedAttention(Config(width=8, heads=2, steps=5))
    attend.scores.normal_()
    weights = attend(torch.randn(2, 4, 8), None)[1]
    torch.testing.assert_close(weights[0], weights[1])
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 4))
    with pytest.raises(ValueError, match="has 5, and the series 6 steps"):
        attend(torch.randn(2, 6, 8), None)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"width": 6, "heads": 4}, "even and a multiple of heads, but is 6 with 4 heads"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"steps": 0}, "steps must be at least 1"),
    ],
)
def test_impossible_sizes_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**table)
