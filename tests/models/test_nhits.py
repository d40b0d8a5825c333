"""What N-HiTS promises beside the contract: the sum of its stacks, knots and maxima, the place of the past."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from foldline.models.contract import Targets
from foldline.models.systems import nhits

HISTORY, HORIZON = 5, 4


def make(count: int = 1, levels: tuple[int, ...] = (), **table: object) -> nhits.NHiTS:
    torch.manual_seed(0)
    sizes = {"history": HISTORY, "horizon": HORIZON, "pool_kernel_size": (3, 1), "freq_downsample": (2, 1)}
    config = nhits.Config(**{**sizes, "width": 8, "per_step": 2, **table})
    return nhits.NHiTS(config, 1 + count + 1, levels, Targets(count=count, observed=HISTORY)).eval()


def batch(known: list[int], steps: int = HISTORY + HORIZON, count: int = 1) -> Tensor:
    """x (B, T, 1 + K + 1): a feature, the known target of the first `known` steps of each series, the mark of these."""
    random = torch.Generator().manual_seed(1)
    given = torch.arange(steps) < torch.tensor(known).unsqueeze(1)
    target = torch.randn(len(known), steps, count, generator=random) * given.unsqueeze(2)
    feature = torch.randn(len(known), steps, 1, generator=random)
    return torch.cat([feature, target, given.float().unsqueeze(2)], dim=2)


NO_STATIC = torch.zeros(1, 0, dtype=torch.long)


def run(network: nhits.NHiTS, x: Tensor) -> Tensor:
    return network(x, NO_STATIC.expand(len(x), -1), None)


def slow_stack(stack: nhits.Stack, past: Tensor) -> tuple[Tensor | None, Tensor]:
    """(L,) -> backcast (L,) and forecast (c, horizon), a maximum and a line at a time."""
    maxima = [past[begin : begin + stack.pool].max() for begin in range(0, len(past), stack.pool)]
    hidden = torch.stack(maxima)
    for linear in stack.body[::2]:
        hidden = (linear.weight @ hidden + linear.bias).clamp(min=0)
    knots = (stack.knots.weight @ hidden + stack.knots.bias).view(stack.per_step, -1)
    count = knots.shape[1]
    forecast = torch.empty(stack.per_step, HORIZON)
    for step in range(HORIZON):  # a knot stands in the middle of its steps; beyond the outer ones it is level
        place = min(max((step + 0.5) * count / HORIZON - 0.5, 0.0), count - 1.0)
        before = min(int(place), count - 1)
        after = min(before + 1, count - 1)
        forecast[:, step] = knots[:, before] + (place - before) * (knots[:, after] - knots[:, before])
    back = stack.backcast
    return None if back is None else back.weight @ hidden + back.bias, forecast


@torch.no_grad()
def test_a_forecast_is_the_sum_of_stacks_that_read_what_others_left() -> None:
    network, x = make(), batch([HISTORY] * 2)
    first, second = network.stacks
    assert (first.knots.out_features, second.knots.out_features) == (2 * HORIZON // 2, 2 * HORIZON)
    found = run(network, x)
    for series in range(2):
        past = x[series, :HISTORY, 1]
        backcast, slow = slow_stack(first, past)
        nothing, fine = slow_stack(second, past - backcast)
        assert nothing is None
        torch.testing.assert_close(found[series, HISTORY:].T, slow + fine)
    assert not found[:, :HISTORY].any()


@torch.no_grad()
def test_the_past_ends_where_each_series_is_known_no_more() -> None:
    network, x = make(), batch([HISTORY, 2])
    late, early = run(network, x)
    shifted = torch.zeros_like(x[1:])
    shifted[:, HISTORY - 2 : HISTORY] = x[1, :2]  # the same two steps just before the origin, nothing before them
    shifted[:, :HISTORY, 2] = 1.0
    torch.testing.assert_close(early[2 : 2 + HORIZON], run(network, shifted)[0, HISTORY:])
    torch.testing.assert_close(early[2 + HORIZON :], early[1 + HORIZON : 2 + HORIZON].expand(3, -1))  # level beyond it
    assert late[HISTORY:].any()


@torch.no_grad()
def test_a_longer_past_than_it_reads_does_not_count() -> None:
    network, x = make(), batch([HISTORY + 3], steps=HISTORY + 3 + HORIZON)
    changed = x.clone()
    changed[:, :3, 1] += 1.0
    assert torch.equal(run(network, changed), run(network, x))
    changed[:, 3, 1] += 1.0
    assert not torch.equal(run(network, changed), run(network, x))


@torch.no_grad()
def test_each_target_is_a_series_of_its_own_by_the_same_weights() -> None:
    network, x = make(count=2), batch([HISTORY], count=2)
    found = run(network, x)
    swapped = run(network, x[..., [0, 2, 1, 3]])
    torch.testing.assert_close(swapped, found[..., [2, 3, 0, 1]])


@torch.no_grad()
def test_features_are_not_read_and_static_columns_by_their_embedding() -> None:
    network, x = make(levels=(3,), embed=2), batch([HISTORY] * 4)
    codes = torch.arange(4).unsqueeze(1)
    found = network(x[:1].expand(4, -1, -1), codes, None)
    assert len({tuple(row.tolist()) for row in found[:, -1]}) == 4
    without = make(levels=(3,))
    assert without.embed is None
    x[..., 0] += 1.0
    assert torch.equal(network(x, codes, None), network(functional.pad(x[..., 1:], (1, 0)), codes, None))


def test_sizes_are_those_of_the_forecast_unless_given() -> None:
    assert nhits.Config().of_forecast(84, 62) == nhits.Config(history=84, horizon=62)
    assert nhits.Config(history=20, horizon=70).of_forecast(84, 62) == nhits.Config(history=20, horizon=70)
    with pytest.raises(ValueError, match=r"horizon must be at least data\.forecast\.horizon = 62, but is 10"):
        nhits.Config(horizon=10).of_forecast(84, 62)
    with pytest.raises(ValueError, match=r"must be given where .* does not say them, but are 5 and 0"):
        nhits.Config(history=5).of_forecast(0, 0)


def test_a_network_without_a_past_is_refused() -> None:
    with pytest.raises(ValueError, match="nhits needs a known start of the target"):
        nhits.NHiTS(nhits.Config(history=5, horizon=4), 3, (), Targets(count=1))
    with pytest.raises(ValueError, match="history and horizon must be at least 1 step, but are 0 and 4"):
        nhits.NHiTS(nhits.Config(horizon=4), 3, (), Targets(count=1, observed=5))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"width": 0}, "width must be at least 1, but is 0"),
        ({"per_step": 0}, "per_step must be at least 1, but is 0"),
        ({"embed": -1}, "history, horizon and embed must not be below 0, but are 0, 0 and -1"),
        ({"freq_downsample": (4, 1)}, r"a number of steps for each stack.*\[8, 4, 1\] and \[4, 1\]"),
        ({"pool_kernel_size": (), "freq_downsample": ()}, "a number of steps for each stack"),
        ({"pool_kernel_size": (8, 0, 1)}, "at least 1, but are"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nhits.Config(**table)
