"""What the gru block promises beside the contract: its size, what each direction sees, how it starts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from foldline.models.blocks import bilstm, gru


def weights(block: nn.Module) -> int:
    return sum(parameter.numel() for parameter in block.parameters())


@pytest.mark.parametrize(("inputs", "width"), [(3, 8), (37, 256)])
def test_it_has_three_quarters_of_an_lstms_weights(inputs: int, width: int) -> None:
    lstm = weights(bilstm.BiLSTM(bilstm.Config(width=width), inputs))
    assert 4 * weights(gru.GRU(gru.Config(width=width), inputs)) == 3 * lstm


@pytest.mark.parametrize("bidirectional", [True, False])
def test_only_the_backward_half_sees_what_comes_after(bidirectional: bool) -> None:
    torch.manual_seed(0)
    block, x = gru.GRU(gru.Config(width=8, bidirectional=bidirectional), 3), torch.randn(2, 6, 3)
    before = block(x, None)
    after = block(torch.cat([x[:, :3], x[:, 3:] + 1.0], dim=1), None)  # changed from step 3 on
    assert before.shape == (2, 6, 8)
    forward = 4 if bidirectional else 8  # channels of the forward pass
    assert torch.equal(before[:, :3, :forward], after[:, :3, :forward])
    assert not torch.isclose(before[:, 3:], after[:, 3:]).any()
    assert not torch.isclose(before[:, :3, forward:], after[:, :3, forward:]).any()


def test_the_backward_pass_starts_at_the_last_real_step() -> None:
    torch.manual_seed(0)
    block, x = gru.GRU(gru.Config(width=4), 2), torch.randn(1, 6, 2)
    mask = torch.tensor([[True] * 4 + [False] * 2])
    torch.testing.assert_close(block(x, mask)[:, :4], block(x[:, :4], None))


@torch.no_grad()
def test_a_step_is_the_papers_up_to_the_place_of_the_reset_gate() -> None:
    """h = z h0 + (1 - z) tanh(W x + r (U h0)), h0 the state before: torch gates U h0, the paper h0. Biases are 0."""
    torch.manual_seed(0)
    block, x = gru.GRU(gru.Config(width=3, bidirectional=False), 2), torch.randn(1, 2, 2)
    reset_x, update_x, new_x = block.gru.weight_ih_l0.chunk(3)
    reset_h, update_h, new_h = block.gru.weight_hh_l0.chunk(3)
    state = torch.zeros(3)
    for step in x[0]:
        reset, update = (
            torch.sigmoid(reset_x @ step + reset_h @ state),
            torch.sigmoid(update_x @ step + update_h @ state),
        )
        state = update * state + (1 - update) * torch.tanh(new_x @ step + reset * (new_h @ state))
    torch.testing.assert_close(block(x, None)[0, -1], state)


@torch.no_grad()
def test_it_starts_as_in_keras() -> None:
    torch.manual_seed(0)
    layer = gru.GRU(gru.Config(width=6), 7).gru
    for direction in ("", "_reverse"):
        matrix = getattr(layer, f"weight_hh_l0{direction}")  # (9, 3), of all gates
        torch.testing.assert_close(matrix.T @ matrix, torch.eye(3))
        limit = (6 / (7 + 9)) ** 0.5  # Glorot's, of all gates
        for gate in getattr(layer, f"weight_ih_l0{direction}").chunk(3):
            assert 0.8 * limit < float(gate.abs().max()) <= limit
        assert not getattr(layer, f"bias_ih_l0{direction}").any() and not getattr(layer, f"bias_hh_l0{direction}").any()


@pytest.mark.parametrize("width", [1, 7])
def test_a_width_that_does_not_halve_is_refused_where_there_are_two_directions(width: int) -> None:
    with pytest.raises(ValueError, match=f"width must be even.*but is {width}"):
        gru.Config(width=width)
    assert gru.GRU(gru.Config(width=width, bidirectional=False), 2)(torch.randn(1, 4, 2), None).shape == (1, 4, width)
