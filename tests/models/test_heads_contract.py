"""The contract of `models.contract.Head`, over every registered head, and one with auxiliary targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from foldline.models import heads
from foldline.models.contract import Head, Targets
from foldline.models.heads import HEADS

SERIES, STEPS, WIDTH = 5, 9, 8
TARGETS = Targets(count=2, grids=((-4.0, 0.25, 33), (-3.0, 0.5, 13)))
REAL = torch.arange(STEPS)[None, :] < torch.tensor([9, 1, 4, 8, 3])[:, None]  # (B, T)
KNOWN = REAL.unsqueeze(-1).expand(-1, -1, TARGETS.count)  # (B, T, K)

TABLES: dict[str, dict[str, Any]] = {kind: {"kind": kind} for kind in HEADS}
TABLES["laplace with aux"] = {"kind": "laplace", "aux": {"differences": [1, 3], "second": True, "cumulative": True}}
every_head = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


def batch(table: dict[str, Any]) -> tuple[Head, Tensor, Tensor, Tensor]:
    """A head, the body's output (B, T, H), targets (B, T, K), and weights (B, T) of 1, 1/2 and 0."""
    torch.manual_seed(0)
    weight = torch.tensor([1.0, 0.5, 0.0])[torch.randint(3, (SERIES, STEPS))] * REAL
    y = torch.randn(SERIES, STEPS, TARGETS.count)
    return heads.build(table, WIDTH, TARGETS), torch.randn(SERIES, STEPS, WIDTH), y, weight


@every_head
def test_it_predicts_each_target_and_how_far_off_it_is_or_nothing(table: dict[str, Any]) -> None:
    head, hidden, y, _ = batch(table)
    raw = head(hidden)
    predicted, spread = head.predict(raw, REAL), head.spread(raw)
    assert predicted.shape == y.shape and predicted.dtype == torch.float32
    assert spread is None or (spread.shape == y.shape and bool((spread > 0).all()))


@every_head
def test_what_stands_at_padded_steps_changes_no_loss(table: dict[str, Any]) -> None:
    head, hidden, y, weight = batch(table)
    padded = ~REAL.unsqueeze(-1)
    clean = head.loss(head(hidden), y, weight, KNOWN)
    dirty = head.loss(head(hidden.masked_fill(padded, 1e3)), y.masked_fill(padded, 1e3), weight, KNOWN)
    torch.testing.assert_close(dirty, clean)


@pytest.mark.parametrize("table", [table for name, table in TABLES.items() if name != "twophase"])
def test_what_stands_at_real_steps_of_no_weight_changes_no_loss(table: dict[str, Any]) -> None:
    head, hidden, y, weight = batch(table)
    unscored = (weight == 0).unsqueeze(-1)
    clean = head.loss(head(hidden), y, weight, None)
    dirty = head.loss(head(hidden.masked_fill(unscored, 1e3)), y.masked_fill(unscored, 1e3), weight, None)
    torch.testing.assert_close(dirty, clean)


@every_head
def test_a_series_of_twice_the_weight_is_that_series_twice(table: dict[str, Any]) -> None:
    head, hidden, y, _ = batch(table)
    weight, twice = torch.ones(SERIES, STEPS), torch.tensor([0, 1, 1, 2, 3, 4])
    repeated = head.loss(head(hidden[twice]), y[twice], weight[twice], None)
    weight[1] = 2.0
    torch.testing.assert_close(head.loss(head(hidden), y, weight, None), repeated)


@every_head
def test_the_gradients_of_a_batchs_parts_add_up_to_that_of_the_batch(table: dict[str, Any]) -> None:
    head, hidden, y, weight = batch(table)
    weight[:2] = 0.0  # a part without a scored step: a two-phase head learns from it, too
    head.loss(head(hidden), y, weight, KNOWN).backward()
    whole = [parameter.grad for parameter in head.parameters()]
    head.zero_grad()
    for part in (slice(0, 2), slice(2, SERIES)):
        loss = head.loss_sum(head(hidden[part]), y[part], weight[part], KNOWN[part])
        (loss / weight.sum()).backward()
    for parameter, expected in zip(head.parameters(), whole, strict=True):
        torch.testing.assert_close(parameter.grad, expected)


@every_head
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_extreme_outputs_keep_loss_gradient_and_prediction_finite(table: dict[str, Any], size: float) -> None:
    head, hidden, y, weight = batch(table)
    raw = head(hidden).detach().sign().mul_(size).requires_grad_()
    loss, spread = head.loss(raw, y, weight, KNOWN), head.spread(raw)
    loss.backward()
    assert raw.grad is not None
    for values in (loss, raw.grad, head.predict(raw, REAL), *(() if spread is None else (spread,))):
        assert values.isfinite().all()


@every_head
def test_without_any_weight_loss_and_gradient_are_0(table: dict[str, Any]) -> None:
    head, hidden, y, weight = batch(table)
    loss = head.loss(head(hidden), y, torch.zeros_like(weight), KNOWN)
    loss.backward()
    assert loss.item() == 0.0
    for parameter in head.parameters():
        assert parameter.grad is not None and not parameter.grad.any()


@every_head
def test_a_finite_gradient_reaches_every_output(table: dict[str, Any]) -> None:
    head, hidden, y, weight = batch(table)
    head.loss(head(hidden), y, weight, KNOWN).backward()
    for parameter in head.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
        assert parameter.dim() == 1 or parameter.grad.any(dim=1).all()  # a bias's signs may cancel


@pytest.mark.learned
@every_head
def test_it_can_memorise_eight_series(table: dict[str, Any]) -> None:
    torch.manual_seed(0)
    x, y, scored = torch.randn(8, 6, 64), torch.randn(8, 6, 1), torch.ones(8, 6, dtype=torch.bool)
    body = nn.Sequential(nn.Linear(64, 96), nn.Tanh())
    head = heads.build(table, 96, Targets(count=1, grids=((-3.0, 0.1, 61),)))
    optimiser = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, 300)
    for _ in range(300):
        optimiser.zero_grad()
        head.loss(head(body(x)), y, scored.float(), None).backward()
        optimiser.step()
        schedule.step()
    error = (head.predict(head(body(x)), scored) - y).abs().mean()
    assert error.item() < 0.2  # of a target of mean size 0.8; a likelihood lets some steps keep a wide scale


@every_head
def test_saved_and_loaded_weights_give_the_same_bits(table: dict[str, Any], tmp_path: Path) -> None:
    head, hidden, _, _ = batch(table)
    save_file(head.state_dict(), tmp_path / "head.safetensors")
    other = heads.build(table, WIDTH, TARGETS)
    assert not torch.equal(other(hidden), head(hidden))
    other.load_state_dict(load_file(tmp_path / "head.safetensors"))
    assert torch.equal(other.predict(other(hidden), REAL), head.predict(head(hidden), REAL))


@every_head
def test_what_it_predicts_has_nothing_to_do_with_auxiliary_targets(table: dict[str, Any]) -> None:
    plain, hidden, _, _ = batch({"kind": table["kind"]})
    more, *_ = batch({"kind": table["kind"], "aux": {}})
    raw = more(hidden)
    own = raw.shape[-1] - 4 * TARGETS.count  # differences at lags 1 to 4 come last
    assert own == plain(hidden).shape[-1]
    assert torch.equal(more.predict(raw, REAL), plain.predict(raw[..., :own], REAL))
    both = more.spread(raw), plain.spread(raw[..., :own])
    assert both == (None, None) or torch.equal(*both)  # type: ignore[arg-type]
