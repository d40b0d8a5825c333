"""The LSTM blocks beside the contract, and the ways by which static columns enter any recurrence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from foldline.models.blocks import bilstm, build, configure, gru, lstm, residual_bilstm
from foldline.models.contract import Targets
from foldline.models.ops.covariates import Covariates
from foldline.models.ops.recurrence import RecurrentBlock
from foldline.models.systems.hybrid import Config, Hybrid

RECURRENT = ("lstm", "bilstm", "residual-bilstm", "gru", "mingru", "minlstm", "lru", "stable")
STATIC_WIDTH = 3  # E


def make(kind: str, inputs: int = 4, **table: Any) -> RecurrentBlock:
    torch.manual_seed(0)
    block = build(*configure({"kind": kind, "width": 8, **table}), inputs, STATIC_WIDTH)
    assert isinstance(block, RecurrentBlock)
    return block


@torch.no_grad()
def slow_lstm(layer: nn.LSTM, x: Tensor, state: Tensor, cell: Tensor) -> Tensor:
    """(T, in) -> (T, units), gate by gate; torch keeps them in the order i, f, candidate, o."""
    states = []
    for step in x:
        gates = layer.weight_ih_l0 @ step + layer.bias_ih_l0 + layer.weight_hh_l0 @ state + layer.bias_hh_l0
        write, forget, candidate, output = gates.chunk(4)
        cell = forget.sigmoid() * cell + write.sigmoid() * candidate.tanh()
        state = output.sigmoid() * cell.tanh()
        states.append(state)
    return torch.stack(states)


def test_an_lstm_is_its_three_gates_and_candidate() -> None:
    block, x = make("lstm", initial="torch"), torch.randn(1, 6, 4)
    assert isinstance(block, lstm.LSTM)
    torch.testing.assert_close(block(x, None)[0], slow_lstm(block.lstm, x[0], torch.zeros(8), torch.zeros(8)))


def test_an_lstm_does_not_depend_on_later_steps() -> None:
    block, x = make("lstm"), torch.randn(2, 9, 4)
    changed = torch.cat([x[:, :5], x[:, 5:] + 1.0], dim=1)
    before, after = block(x, None), block(changed, None)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.isclose(before[:, 5:], after[:, 5:]).any()


def test_a_residual_bilstm_of_zero_weights_is_the_identity() -> None:
    block, x = make("residual-bilstm", inputs=8), torch.randn(2, 5, 8)
    assert not torch.allclose(block(x, None), x, atol=1e-3)
    with torch.no_grad():
        for weight in block.parameters():
            weight.zero_()
    assert torch.equal(block(x, None), x)


def test_a_residual_bilstm_has_the_published_sizes() -> None:
    block = residual_bilstm.ResidualBiLSTM(residual_bilstm.Config(width=256), 256)
    assert block.lstm.hidden_size == 256 and block.lstm.bidirectional
    assert [layer.weight.shape for layer in block.ffn if isinstance(layer, nn.Linear)] == [(1024, 512), (256, 1024)]


@pytest.mark.parametrize("route", ["state", "film", "token"])
@pytest.mark.parametrize("kind", RECURRENT)
def test_zero_static_weights_give_the_plain_recurrence(kind: str, route: str) -> None:
    block, plain, x = make(kind, static=route), make(kind), torch.randn(2, 5, 4)
    covariates = Covariates(static=torch.randn(2, STATIC_WIDTH))
    assert block.static is not None and plain.static is None
    recurrence = {name: weight for name, weight in block.state_dict().items() if not name.startswith("static.")}
    plain.load_state_dict(recurrence)
    assert not torch.allclose(block(x, None, covariates), plain(x, None), atol=1e-3)
    nn.init.zeros_(block.static.weight)
    nn.init.zeros_(block.static.bias)
    torch.testing.assert_close(block(x, None, covariates), plain(x, None))


def test_the_state_route_is_what_an_lstm_begins_with() -> None:
    block, x, known = make("lstm", static="state"), torch.randn(1, 6, 4), torch.randn(1, STATIC_WIDTH)
    assert isinstance(block, lstm.LSTM) and block.static is not None
    state, cell = block.static(known)[0].chunk(2)
    expected = slow_lstm(block.lstm, x[0], state, cell)
    torch.testing.assert_close(block(x, None, Covariates(static=known))[0], expected)


def test_each_direction_and_state_begins_with_a_part_of_its_own() -> None:
    block, x, known = make("bilstm", static="state"), torch.randn(1, 6, 4), torch.randn(1, STATIC_WIDTH)
    assert isinstance(block, bilstm.BiLSTM) and block.static is not None
    start = block.static(known)[0].view(2, 2, 1, 4)  # (h or c, direction, B, units)
    torch.testing.assert_close(block(x, None, Covariates(static=known)), block.lstm(x, (start[0], start[1]))[0])


def test_padding_does_not_mix_up_whose_state_is_whose() -> None:
    block, x, known = make("gru", static="state"), torch.randn(3, 6, 4), torch.randn(3, STATIC_WIDTH)
    assert isinstance(block, gru.GRU)
    mask = torch.arange(6) < torch.tensor([[2], [6], [4]])  # packing sorts series by length
    together = block(x, mask, Covariates(static=known))
    for number, length in enumerate([2, 6, 4]):
        one = slice(number, number + 1)
        alone = block(x[one, :length], None, Covariates(static=known[one]))
        torch.testing.assert_close(together[one, :length], alone)


def test_film_scales_and_shifts_and_token_is_added_once() -> None:
    film, x, known = make("gru", static="film"), torch.randn(2, 5, 4), torch.randn(2, STATIC_WIDTH)
    assert film.static is not None
    scale, shift = film.static(known).chunk(2, dim=1)
    expected = film.recur(x, None, None) * (1 + scale[:, None]) + shift[:, None]
    torch.testing.assert_close(film(x, None, Covariates(static=known)), expected)
    token = make("gru", static="token")
    assert token.static is not None
    moved = x.clone()
    moved[:, 0] += token.static(known)
    torch.testing.assert_close(token(x, None, Covariates(static=known)), token.recur(moved, None, None))


def test_a_hybrid_hands_embeddings_to_the_blocks_that_read_them() -> None:
    torch.manual_seed(0)
    table = Config(width=8, embed=3, join=False, blocks=({"kind": "lstm", "static": "state"}, {"kind": "conv"}))
    network, x = Hybrid(table, 4, (2,), Targets(count=1)).eval(), torch.randn(1, 5, 4).expand(2, -1, -1)
    assert network.project_in.in_features == 4  # not joined to the steps
    out = network(x, torch.tensor([[1], [2]]), None)
    assert not torch.allclose(out[0], out[1], atol=1e-3)


def test_embeddings_that_nobody_reads_are_not_made() -> None:
    network = Hybrid(Config(width=8, embed=3, join=False, blocks=({"kind": "lstm"},)), 4, (2,), Targets(count=1))
    assert network.embed is None


def test_statics_are_refused_where_there_are_none() -> None:
    with pytest.raises(ValueError, match=r"blocks\[1\] \(gru\): static = 'film' needs embedded.*embed is 0"):
        Config(blocks=({"kind": "conv"}, {"kind": "gru", "static": "film"}))
    with pytest.raises(ValueError, match="static = 'state' needs embedded static columns, but there are none"):
        Hybrid(Config(embed=2, blocks=({"kind": "gru", "static": "state"},)), 4, (), Targets(count=1))
    with pytest.raises(ValueError, match="reads static columns, but was given none"):
        make("gru", static="state")(torch.randn(1, 3, 4), None)


def test_an_unknown_kind_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"is 'lstmm'. Did you mean 'lstm'\? Known: bilstm, conformer, conv"):
        Config(blocks=({"kind": "lstmm"},)).built()
