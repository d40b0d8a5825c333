"""The tree of attention beside the contract: its levels, its attention, its paths against a recurrence's."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from foldline.models.blocks import hierarchical
from foldline.models.probes import path_length


def make(window: int = 4, inputs: int = 3) -> hierarchical.Hierarchical:
    torch.manual_seed(0)
    return hierarchical.Hierarchical(hierarchical.Config(width=8, window=window, heads=2), inputs).eval()


def levels(block: hierarchical.Hierarchical, steps: int) -> list[int]:
    """Summaries on each level above the steps."""
    found: list[int] = []
    handle = block.summary.register_forward_hook(lambda _, __, out: found.append(out[0].shape[1]))
    block(torch.randn(1, steps, 3), None)
    handle.remove()
    return found


@pytest.mark.parametrize(
    ("window", "steps", "above"),
    [(4, 80, [20, 5, 2, 1]), (9, 80, [9, 1]), (4, 64, [16, 4, 1]), (4, 65, [17, 5, 2, 1]), (4, 1, [])],
)
def test_levels_shrink_by_the_window_until_one_is_left(window: int, steps: int, above: list[int]) -> None:
    assert levels(make(window), steps) == above


class Stepwise(nn.Module):
    """An LSTM run step by step, so that its hops can be counted."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(3, 8)

    def forward(self, x: Tensor) -> Tensor:
        state, states = None, []
        for step in x.unbind(1):
            state = self.cell(step, state)
            states.append(state[0])
        return torch.stack(states, dim=1)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_paths_grow_as_the_logarithm_of_the_length_where_an_lstms_grow_as_the_length(power: int) -> None:
    steps, block = 4**power, make()
    x = torch.randn(1, steps, 3)
    assert path_length(partial(block, mask=None), x, [block.summary, block.broadcast]) == 2 * power
    recurrence = Stepwise()
    assert path_length(recurrence, x, [recurrence.cell]) == steps


def test_a_path_that_is_not_there_has_no_length() -> None:
    with pytest.raises(ValueError, match=r"from the first input to the last output.*gradient is 0"):
        path_length(lambda x: x * 2, torch.randn(1, 5, 3), [])


@torch.no_grad()
def test_a_summary_is_learned_queries_over_a_windows_real_members() -> None:
    summary = make().summary
    x, real = torch.randn(1, 6, 8), torch.tensor([[True, True, True, True, True, False]])
    weights = summary.weights((x[:, :4] + 0.0).view(1, 1, 4, 8), real[:, :4].view(1, 1, 4))
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        scores = (summary.key(x[0, :4])[:, part] @ summary.query[head]) / 4**0.5
        torch.testing.assert_close(weights[0, 0, :, head], scores.softmax(dim=0))
    out, alive = summary(x, real)
    assert out.shape == (1, 2, 8) and alive.tolist() == [[True, True]]
    alone, _ = summary(x[:, 4:5], real[:, 4:5])  # the second window has one real member
    torch.testing.assert_close(out[:, 1:], alone)


@torch.no_grad()
def test_every_member_adds_the_summary_of_its_own_window() -> None:
    broadcast, x, above = make().broadcast, torch.randn(2, 6, 8), torch.randn(2, 2, 8)  # windows of 4: 4 and 2 members
    for member in range(6):
        summed = x[:, member] + broadcast.parent(above[:, member // 4])
        torch.testing.assert_close(broadcast(x, above)[:, member], summed + broadcast.ffn(summed))


def test_attention_in_a_window_sums_to_one_and_spares_padding() -> None:
    members = torch.tensor([[[True, True, False, False]], [[False] * 4]])
    weights = make().summary.weights(torch.randn(2, 1, 4, 8), members)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, 1, 2))
    assert not weights[0, 0, 2:].any()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"window": 1}, "window must be at least 2, else no level is shorter, but is 1"),
        ({"width": 6}, "width must be a multiple of heads, but is 6 with 4 heads"),
        ({"ffn": 0}, "ffn must be at least 1, but is 0"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hierarchical.Config(**table)
