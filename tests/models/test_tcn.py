"""What the tcn block promises beside the contract: its window, causality, weight norm, spatial dropout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from foldline.models.blocks import tcn


def make(inputs: int = 3, **table: object) -> tcn.TCN:
    torch.manual_seed(0)
    return tcn.TCN(tcn.Config(width=12, **table), inputs)


def seen(block: nn.Module, steps: int, step: int) -> list[int]:
    """The input steps that the output at `step` depends on, measured by its gradient."""
    x = torch.randn(1, steps, 3, generator=torch.Generator().manual_seed(1), requires_grad=True)
    block.double()(x.double(), None)[0, step].sum().backward()
    assert x.grad is not None
    return x.grad[0].abs().sum(dim=-1).nonzero().flatten().tolist()


@pytest.mark.parametrize(("kernel", "levels", "window"), [(3, 3, 29), (3, 5, 125), (2, 4, 31), (5, 2, 25)])
def test_a_causal_window_ends_at_its_step(kernel: int, levels: int, window: int) -> None:
    assert window == 1 + 2 * (kernel - 1) * (2**levels - 1)
    block = make(kernel=kernel, levels=levels, causal=True)
    assert seen(block, 140, step=132) == list(range(132 - window + 1, 133))


@pytest.mark.parametrize(("kernel", "levels", "window"), [(3, 3, 29), (3, 5, 125), (5, 2, 25)])
def test_a_window_that_is_not_causal_has_its_step_in_the_middle(kernel: int, levels: int, window: int) -> None:
    assert seen(make(kernel=kernel, levels=levels), 140, step=70) == list(range(70 - window // 2, 70 + window // 2 + 1))


def test_by_default_a_window_covers_a_breath_of_80_steps() -> None:
    assert len(seen(make(causal=True), 80, step=79)) == 80


def test_causal_output_does_not_depend_on_later_steps() -> None:
    x = torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(1))
    changed = torch.cat([x[:, :12], x[:, 12:] + 1.0], dim=1)
    for causal in (True, False):
        block = make(causal=causal, levels=2)
        before, after = block(x, None), block(changed, None)
        assert not torch.equal(before[:, 12:], after[:, 12:])
        assert torch.equal(before[:, :12], after[:, :12]) == causal


def slow_level(level: tcn.Level, x: Tensor, dilation: int) -> Tensor:
    """(T, in) -> (T, width) of a causal level, tap by tap; weights as direction times length, per output channel."""
    hidden = x
    for stage in (level.first, level.second):
        parts = stage.conv.parametrizations.weight
        length, way = parts.original0, parts.original1
        weight = length * way / way.flatten(1).norm(dim=1)[:, None, None]  # (width, in, k)
        taps = weight.shape[2]
        rows = []
        for step in range(len(x)):
            total = stage.conv.bias
            for tap in range(taps):
                source = step - (taps - 1 - tap) * dilation
                total = total + (weight[:, :, tap] @ hidden[source] if source >= 0 else 0.0)
            rows.append(total.relu())
        hidden = torch.stack(rows)
    return (hidden + level.identity(x.T).T).relu()


@torch.no_grad()
def test_a_level_is_two_weight_normed_dilated_convolutions_and_the_identity() -> None:
    block, x = make(levels=2, causal=True), torch.randn(1, 9, 3)
    assert isinstance(block.levels[0].identity, nn.Conv1d) and isinstance(block.levels[1].identity, nn.Identity)
    expected = slow_level(block.levels[1], slow_level(block.levels[0], x[0], dilation=1), dilation=2)
    torch.testing.assert_close(block(x, None)[0], expected)


def test_every_convolutions_weight_is_a_length_times_a_direction() -> None:
    block, x = make(), torch.randn(1, 9, 3)
    convolutions = [stage.conv for level in block.levels for stage in (level.first, level.second)]
    assert len(convolutions) == 10 and all(is_parametrized(conv, "weight") for conv in convolutions)
    before = block(x, None)
    with torch.no_grad():
        for conv in convolutions:
            conv.parametrizations.weight.original1 *= 7.0  # the direction's own size does not count
    torch.testing.assert_close(block(x, None), before)


def test_dropout_takes_whole_channels() -> None:
    torch.manual_seed(0)
    stage = tcn.Convolution(tcn.Config(width=400, dropout=0.25), 3, dilation=1)
    nn.init.constant_(stage.conv.bias, 10.0)  # so that no zero is ReLU's
    alive = (stage(torch.randn(1, 3, 50)) != 0).float().mean(dim=-1)[0]  # (400,): share of a channel's steps
    assert set(alive.tolist()) == {0.0, 1.0}
    assert 0.7 < float(alive.mean()) < 0.8


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kernel": 4}, "odd and at least 3.*but is 4 with causal = false"),
        ({"kernel": 1, "causal": True}, "at least 2, but is 1 with causal = true"),
        ({"levels": 0}, "levels must be at least 1, but is 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), but is 1.0"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tcn.Config(**table)
