"""Pooling over time: by hand, whatever stands in the padding, in any precision; and the head behind it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from foldline.models import heads
from foldline.models.contract import Targets
from foldline.models.ops.pooling import PooledHead, Pooling

POOLS: dict[str, tuple[Any, ...]] = {name: (name,) for name in ("mean", "max", "last", "attention")}
POOLS["all"] = ("mean", "max", "last", "attention")
every = pytest.mark.parametrize("pools", POOLS.values(), ids=POOLS)
LENGTHS = torch.tensor([9, 1, 4, 8, 3])
MASK = torch.arange(9)[None, :] < LENGTHS[:, None]  # (B, T)
SERIES = Targets(count=2, level="series")


def make(pools: tuple[Any, ...], hidden: int = 6) -> Pooling:
    torch.manual_seed(0)
    return Pooling(pools, hidden)


def batch() -> Tensor:
    return torch.randn(5, 9, 6, generator=torch.Generator().manual_seed(1))


def test_each_by_hand() -> None:
    hidden = torch.tensor([[[1.0, -5.0], [3.0, -7.0], [99.0, 99.0]]])
    mask = torch.tensor([[True, True, False]])
    pooling = make(("last", "mean", "max", "attention"), 2)
    assert pooling.query is not None and pooling.width == 8
    with torch.no_grad():
        pooling.query.copy_(torch.tensor([2**0.5 * torch.log(torch.tensor(3.0)).item() / 2, 0.0]))
    # the second step's score is log 3 above the first's: weights 1/4 and 3/4
    expected = [3.0, -7.0, 2.0, -6.0, 3.0, -5.0, 1 / 4 + 9 / 4, -5 / 4 - 21 / 4]
    torch.testing.assert_close(pooling(hidden, mask), torch.tensor([[expected]]))


@every
def test_a_padded_series_is_the_series_alone_whatever_stands_behind_it(pools: tuple[Any, ...]) -> None:
    pooling, hidden = make(pools), batch()
    for soil in (1e4, -1e4, torch.nan, torch.inf):
        together = pooling(torch.where(MASK.unsqueeze(-1), hidden, soil), MASK)
        assert together.shape == (5, 1, pooling.width) and pooling.width == 6 * len(pools)
        for number, length in enumerate(LENGTHS.tolist()):
            alone = pooling(hidden[number : number + 1, :length], None)
            torch.testing.assert_close(together[number], alone[0])


@every
def test_no_mask_is_a_mask_that_is_true_everywhere(pools: tuple[Any, ...]) -> None:
    pooling, hidden = make(pools), batch()
    assert torch.equal(pooling(hidden, None), pooling(hidden, torch.ones_like(MASK)))


@every
def test_one_step_is_its_own_pooling(pools: tuple[Any, ...]) -> None:
    pooling, hidden = make(pools), batch()[:, :1]
    assert torch.equal(pooling(hidden, None), hidden.repeat(1, 1, len(pools)))


@every
def test_gradients_are_finite_and_reach_real_steps_alone(pools: tuple[Any, ...]) -> None:
    pooling, hidden = make(pools), batch().requires_grad_()
    soiled = torch.where(MASK.unsqueeze(-1), hidden, 1e4)
    pooling(soiled, MASK).square().sum().backward()
    assert hidden.grad is not None and hidden.grad.isfinite().all() and not hidden.grad[~MASK].any()
    if pools[0] != "last" and pools[0] != "max":
        assert (hidden.grad[MASK] != 0).any(dim=-1).all()
    for parameter in pooling.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any()


@every
def test_bfloat16_is_the_same_but_for_its_digits(pools: tuple[Any, ...]) -> None:
    pooling, hidden = make(pools), batch()
    rough = pooling.bfloat16()(hidden.bfloat16(), MASK)
    torch.testing.assert_close(rough.float(), make(pools)(hidden, MASK), atol=0.03, rtol=0.03)


def test_a_head_of_whole_series_pools_by_mean_max_and_last() -> None:
    head = heads.build({"kind": "gaussian"}, 6, SERIES)
    assert isinstance(head, PooledHead) and head.pooling.pools == ("mean", "max", "last")
    raw = head(batch(), MASK)
    assert raw.shape == (5, 1, 4)
    assert head.predict(raw, torch.ones(5, 1, dtype=torch.bool)).shape == (5, 1, 2)
    spread = head.spread(raw)
    assert spread is not None and spread.shape == (5, 1, 2)
    other = heads.build({"kind": "gaussian", "pool": ["attention"]}, 6, SERIES)
    assert isinstance(other, PooledHead) and other.pooling.pools == ("attention",)


def test_a_head_of_steps_reads_no_mask() -> None:
    head = heads.build({"kind": "l1"}, 6, Targets(count=2))
    assert torch.equal(head(batch(), MASK), head(batch()))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "l1", "pool": []}, r"different kinds of pooling, at least one, but is \[\]"),
        ({"kind": "l1", "pool": ["max", "max"]}, r"different kinds of pooling, .* but is \['max', 'max'\]"),
        ({"kind": "l1", "aux": {}}, "but these targets are of whole series: leave out aux"),
        (
            {"kind": "twophase"},
            "^The twophase head does not serve regression targets of whole series: choose gaussian,",
        ),
    ],
)
def test_what_whole_series_have_no_use_for_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        heads.build(table, 6, SERIES)
