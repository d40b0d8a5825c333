"""Heads beside the target's: losses add up where both targets are known, and predictions know nothing of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from foldline import models
from foldline.models import heads
from foldline.models.contract import Targets
from foldline.models.heads.joint import JointHead

BEHAVIOUR, HEAT = Targets(count=3, kind="multiclass"), Targets(count=2)
AUXILIARY = (("heat", HEAT), ("behaviour", BEHAVIOUR))  # columns 0, 1 and 2, 3, 4
ENTRIES = [
    {"target": "behaviour", "kind": "softmax", "label_smoothing": 0.1, "weight": 0.5},
    {"target": "heat", "kind": "l2"},
]
Y = torch.tensor([[[4.0, 1.0, 2.0, 0, 1, 0], [5.0, 3.0, 0.0, 1, 0, 0], [6.0, 7.0, 8.0, 0, 0, 1]]])  # (1, 3, 1 + 5)
WEIGHT = torch.tensor([[1.0, 2.0, 0.0]])


def joint(level: str = "step", entries: list[dict[str, Any]] = ENTRIES, **table: Any) -> JointHead:
    torch.manual_seed(0)
    auxiliary = tuple((name, Targets(count=each.count, kind=each.kind, level=level)) for name, each in AUXILIARY)  # type: ignore[arg-type]
    targets = Targets(count=1, level=level, auxiliary=auxiliary)  # type: ignore[arg-type]
    made = heads.build({"kind": "l1", "beside": entries, **table}, 4, targets)
    assert isinstance(made, JointHead)
    return made


def hidden(steps: int = 3) -> Tensor:
    return torch.randn(1, steps, 4, generator=torch.Generator().manual_seed(1))


def single(head: Any, h: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    loss: Tensor = head.loss_sum(head(h), y, weight, None)
    return loss


def test_the_loss_is_the_weighted_sum_of_all_heads_losses() -> None:
    head, h = joint(), hidden()
    behaviour, heat = head.others
    expected = single(head.main, h, Y[..., :1], WEIGHT)
    expected = expected + 0.5 * single(behaviour, h, Y[..., 3:], WEIGHT) + 0.2 * single(heat, h, Y[..., 1:3], WEIGHT)
    torch.testing.assert_close(head.loss_sum(head(h), Y, WEIGHT, None), expected)


def test_a_missing_auxiliary_target_counts_for_nothing_there() -> None:
    head, h, y = joint(), hidden(), Y.clone()
    y[0, 0, 3:], y[0, 1, 2] = torch.nan, torch.nan  # a behaviour, and one of two numbers
    raw = head(h)
    behaviour, heat = head.others
    expected = single(head.main, h, y[..., :1], WEIGHT)
    expected = expected + 0.5 * single(behaviour, h, Y[..., 3:], torch.tensor([[0.0, 2.0, 0.0]]))
    expected = expected + 0.2 * single(heat, h, Y[..., 1:3], torch.tensor([[1.0, 0.0, 0.0]]))
    loss = head.loss_sum(raw, y, WEIGHT, None)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(bool(weight.grad.isfinite().all()) for weight in head.parameters() if weight.grad is not None)
    y[..., 1:] = torch.nan
    torch.testing.assert_close(head.loss_sum(raw, y, WEIGHT, None), single(head.main, h, y[..., :1], WEIGHT))


def test_prediction_and_spread_are_those_of_the_targets_head() -> None:
    for table in ({}, {"kind": "laplace"}, {"kind": "twophase"}):
        head, h, scored = joint(**table), hidden(), torch.tensor([[True, False, True]])
        raw, own = head(h), head.main(h)
        assert torch.equal(head.predict(raw, scored), head.main.predict(own, scored))
        spread, expected = head.spread(raw), head.main.spread(own)
        assert (spread is None) == (expected is None) and (spread is None or torch.equal(spread, expected))  # type: ignore[arg-type]


def test_heads_of_whole_series_pool_each_for_itself() -> None:
    entries = [{**ENTRIES[0], "pool": ["last"]}]
    head, h = joint("series", entries, pool=["mean"]), hidden(5)
    assert head(h).shape == (1, 1, 1 + 3)
    changed = h.clone()
    changed[0, 0] += 1.0
    same = (head(h) == head(changed))[0, 0].tolist()
    assert same == [False, True, True, True]  # the label's head sees the last step alone


def test_a_head_without_others_is_itself() -> None:
    assert not isinstance(heads.build({"kind": "l1"}, 4, Targets(count=1, auxiliary=AUXILIARY)), JointHead)
    assert not isinstance(heads.build({"kind": "l1", "beside": []}, 4, Targets(count=1)), JointHead)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"target": "mood", "kind": "l1"},
            r"beside names 'mood', but the auxiliary targets are \['heat', 'behaviour'\]",
        ),
        ({"target": "heat", "kind": "l1", "weight": 0.0}, "weight must be above 0, but is 0.0"),
        ({"target": "heat", "kind": "softmax"}, "The softmax head does not serve regression targets"),
    ],
)
def test_refused_entries(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        joint(entries=[entry])


def test_a_key_knows_the_files_of_all_heads() -> None:
    plain, more = ({"head": {"kind": "l1", **each}} for each in ({}, {"beside": ENTRIES}))
    added = set(models.source_of("hybrid", more)) - set(models.source_of("hybrid", plain))
    assert {path.name for path in added} == {"joint.py", "softmax.py", "l2.py"}
