"""The contract of `models.contract.Head`, over every registered head and kind of target that it serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from memorising import memorise
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from foldline.models import heads
from foldline.models.contract import Head, Kind, Targets
from foldline.models.heads import HEADS

SERIES, STEPS, WIDTH, RANKS = 5, 9, 8, 5
REAL = torch.arange(STEPS)[None, :] < torch.tensor([9, 1, 4, 8, 3])[:, None]  # (B, T)

TARGETS: dict[str, Targets] = {  # for each kind; numbers are above 0 in their own unit
    "regression": Targets(count=2, grids=((-4.0, 0.25, 33), (-3.0, 0.5, 13)), center=(4.0, 9.0), scale=(1.0, 2.0)),
    "binary": Targets(count=1, kind="binary"),
    "multilabel": Targets(count=3, kind="multilabel"),
    "multiclass": Targets(count=4, kind="multiclass"),
    "distribution": Targets(count=4, kind="distribution"),
    "ordinal": Targets(count=1, kind="ordinal", classes=RANKS),
}
# Mean distance of a truth of each kind from the best constant, about.
MEAN_SIZE = {
    "regression": 1.0,
    "binary": 0.5,
    "multilabel": 0.5,
    "multiclass": 0.4,
    "distribution": 0.1,
    "ordinal": 1.2,
}
SHARES = ("multiclass", "distribution")
Case = tuple[dict[str, Any], Targets]  # a head's table, and targets that it serves


def cases() -> dict[str, Case]:
    """Every head as it comes with targets of each kind it serves, and with options that change its loss."""
    found = {
        f"{kind} {targets.kind}": ({"kind": kind}, targets)
        for targets in TARGETS.values()
        for kind in heads.serving(targets)
    }
    aux = {"differences": [1, 3], "second": True, "cumulative": True}
    found["laplace with aux"] = ({"kind": "laplace", "aux": aux}, TARGETS["regression"])
    found["quantile 0.9"] = ({"kind": "quantile", "levels": [0.5, 0.9], "predict": 0.9}, TARGETS["regression"])
    bce = {"kind": "bce", "label_smoothing": 0.1, "positive_weight": [3.0], "focal": 0.5}
    found |= {f"bce {kind} with options": (bce, TARGETS[kind]) for kind in ("binary", "multilabel")}
    softmax = {"kind": "softmax", "label_smoothing": 0.1, "class_weights": [1.0, 2.0, 3.0, 6.0]}
    found["softmax distribution with options"] = (softmax, TARGETS["distribution"])
    found["softmax multiclass with options"] = ({**softmax, "focal": 0.5}, TARGETS["multiclass"])
    return found


CASES = cases()
UNWEIGHTED = {name: case for name, case in CASES.items() if "options" not in name}  # whose best answer is the truth
every_head = pytest.mark.parametrize(("table", "targets"), CASES.values(), ids=CASES)


def truth(targets: Targets, series: int = SERIES, steps: int = STEPS, mixed: bool = True) -> Tensor:
    """(B, T, K) of targets; mixed: some as mixup makes them, between two labels."""
    shape = (series, steps, targets.count)
    if targets.kind == "regression":
        return torch.randn(shape).clamp(min=-3)
    if targets.kind == "distribution":
        return torch.rand(shape).square().softmax(dim=-1)
    if targets.kind == "multiclass":
        y = torch.eye(targets.count)[torch.randint(targets.count, shape[:2])]
    else:
        y = torch.randint(targets.classes or 2, shape).float()
    return torch.where(torch.rand(series, steps, 1) < 0.3, 0.7 * y + 0.3 * y.roll(1, dims=0), y) if mixed else y


def known(targets: Targets) -> Tensor:
    """(B, T, K) bool, at all real steps."""
    return REAL.unsqueeze(-1).expand(-1, -1, targets.count)


def batch(table: dict[str, Any], targets: Targets) -> tuple[Head, Tensor, Tensor, Tensor]:
    """A head, the body's output (B, T, H), targets (B, T, K), and weights (B, T) of 1, 1/2 and 0."""
    torch.manual_seed(0)
    weight = torch.tensor([1.0, 0.5, 0.0])[torch.randint(3, (SERIES, STEPS))] * REAL
    y = truth(targets)
    return heads.build(table, WIDTH, targets), torch.randn(SERIES, STEPS, WIDTH), y, weight


def test_every_head_and_every_kind_of_target_is_here() -> None:
    assert {table["kind"] for table, _ in CASES.values()} == set(HEADS)
    assert set(TARGETS) == set(get_args(Kind)) and all(heads.serving(targets) for targets in TARGETS.values())


@every_head
@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_probabilities_and_ranks_stay_in_their_range(table: dict[str, Any], targets: Targets, size: float) -> None:
    head, hidden, *_ = batch(table, targets)
    raw = head(hidden)
    predicted = head.predict(size * raw.detach(), REAL)
    if targets.kind != "regression" and table["kind"] in ("bce", "softmax", "ordinal"):
        assert bool((predicted >= 0).all()) and bool((predicted <= max(1, targets.classes - 1)).all())
    if targets.kind in SHARES:
        torch.testing.assert_close(predicted.sum(dim=-1), torch.ones_like(predicted[..., 0]), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("kind", "targets"),
    [(kind, targets) for kind in HEADS for targets in TARGETS.values() if kind not in heads.serving(targets)],
)
def test_targets_that_a_head_does_not_serve_are_refused_with_heads_that_do(kind: str, targets: Targets) -> None:
    fits = ", ".join(heads.serving(targets))
    with pytest.raises(ValueError, match=f"^The {kind} head does not serve {targets.kind} targets: choose {fits}\\.$"):
        heads.build({"kind": kind}, WIDTH, targets)


@pytest.mark.parametrize("targets", [targets for targets in TARGETS.values() if targets.kind != "regression"])
def test_auxiliary_targets_are_refused_where_targets_are_no_numbers(targets: Targets) -> None:
    for kind in heads.serving(targets):
        with pytest.raises(ValueError, match=f"but these targets are {targets.kind}: leave out aux\\.$"):
            heads.build({"kind": kind, "aux": {}}, WIDTH, targets)


@every_head
def test_it_predicts_each_target_and_how_far_off_it_is_or_nothing(table: dict[str, Any], targets: Targets) -> None:
    head, hidden, y, _ = batch(table, targets)
    raw = head(hidden)
    predicted, spread = head.predict(raw, REAL), head.spread(raw)
    assert predicted.shape == y.shape and predicted.dtype == torch.float32
    assert spread is None or (spread.shape == y.shape and bool((spread > 0).all()))


@every_head
def test_what_stands_at_padded_steps_changes_no_loss(table: dict[str, Any], targets: Targets) -> None:
    head, hidden, y, weight = batch(table, targets)
    padded = ~REAL.unsqueeze(-1)
    clean = head.loss(head(hidden), y, weight, known(targets))
    for value in (1e3, -1e3):
        soiled = head(hidden.masked_fill(padded, value)), y.masked_fill(padded, value)
        torch.testing.assert_close(head.loss(*soiled, weight, known(targets)), clean)


@pytest.mark.parametrize(("table", "targets"), [case for case in CASES.values() if case[0]["kind"] != "twophase"])
def test_what_stands_at_real_steps_of_no_weight_changes_no_loss(table: dict[str, Any], targets: Targets) -> None:
    head, hidden, y, weight = batch(table, targets)
    unscored = (weight == 0).unsqueeze(-1)
    clean = head.loss(head(hidden), y, weight, None)
    dirty = head.loss(head(hidden.masked_fill(unscored, 1e3)), y.masked_fill(unscored, 1e3), weight, None)
    torch.testing.assert_close(dirty, clean)


@every_head
def test_a_series_of_twice_the_weight_is_that_series_twice(table: dict[str, Any], targets: Targets) -> None:
    head, hidden, y, _ = batch(table, targets)
    weight, twice = torch.ones(SERIES, STEPS), torch.tensor([0, 1, 1, 2, 3, 4])
    repeated = head.loss(head(hidden[twice]), y[twice], weight[twice], None)
    weight[1] = 2.0
    torch.testing.assert_close(head.loss(head(hidden), y, weight, None), repeated)


@every_head
def test_the_gradients_of_a_batchs_parts_add_up_to_that_of_the_batch(table: dict[str, Any], targets: Targets) -> None:
    head, hidden, y, weight = batch(table, targets)
    weight[:2] = 0.0  # a part without a scored step: a two-phase head learns from it, too
    head.loss(head(hidden), y, weight, known(targets)).backward()
    whole = [parameter.grad for parameter in head.parameters()]
    head.zero_grad()
    for part in (slice(0, 2), slice(2, SERIES)):
        loss = head.loss_sum(head(hidden[part]), y[part], weight[part], known(targets)[part])
        (loss / weight.sum()).backward()
    for parameter, expected in zip(head.parameters(), whole, strict=True):
        torch.testing.assert_close(parameter.grad, expected)


@every_head
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_extreme_outputs_keep_loss_gradient_and_prediction_finite(
    table: dict[str, Any], targets: Targets, size: float
) -> None:
    head, hidden, y, weight = batch(table, targets)
    raw = head(hidden).detach().sign().mul_(size).requires_grad_()
    loss, spread = head.loss(raw, y, weight, known(targets)), head.spread(raw)
    loss.backward()
    assert raw.grad is not None
    for values in (loss, raw.grad, head.predict(raw, REAL), *(() if spread is None else (spread,))):
        assert values.isfinite().all()


@every_head
def test_without_any_weight_loss_and_gradient_are_0(table: dict[str, Any], targets: Targets) -> None:
    head, hidden, y, weight = batch(table, targets)
    loss = head.loss(head(hidden), y, torch.zeros_like(weight), known(targets))
    loss.backward()
    assert loss.item() == 0.0
    for parameter in head.parameters():
        assert parameter.grad is not None and not parameter.grad.any()


@every_head
def test_a_finite_gradient_reaches_every_output(table: dict[str, Any], targets: Targets) -> None:
    head, hidden, y, weight = batch(table, targets)
    head.loss(head(hidden), y, weight, known(targets)).backward()
    for parameter in head.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
        assert parameter.dim() == 1 or parameter.grad.any(dim=1).all()  # a bias's signs may cancel


@pytest.mark.learned
@pytest.mark.parametrize(("table", "targets"), UNWEIGHTED.values(), ids=UNWEIGHTED)
def test_it_can_memorise_eight_series(table: dict[str, Any], targets: Targets) -> None:
    torch.manual_seed(0)
    if targets.kind == "regression":
        targets = Targets(count=1, grids=((-3.0, 0.1, 61),), center=(4.0,), scale=(1.0,))
    x, y, scored = torch.randn(8, 6, 64), truth(targets, 8, 6, mixed=False), torch.ones(8, 6, dtype=torch.bool)
    body, head = nn.Sequential(nn.Linear(64, 96), nn.Tanh()), heads.build(table, 96, targets)
    bound = 0.2 * MEAN_SIZE[targets.kind]
    error = memorise(
        nn.ModuleList([body, head]),
        lambda: head.loss(head(body(x)), y, scored.float(), None),
        lambda: (head.predict(head(body(x)), scored) - y).abs().mean(),
        lr=1e-2,
        steps=300,
        bound=bound,
    )
    assert error < bound  # a likelihood lets some steps keep a wide scale


@every_head
def test_saved_and_loaded_weights_give_the_same_bits(table: dict[str, Any], targets: Targets, tmp_path: Path) -> None:
    head, hidden, _, _ = batch(table, targets)
    save_file(head.state_dict(), tmp_path / "head.safetensors")
    other = heads.build(table, WIDTH, targets)
    assert not torch.equal(other(hidden), head(hidden))
    other.load_state_dict(load_file(tmp_path / "head.safetensors"))
    assert torch.equal(other.predict(other(hidden), REAL), head.predict(head(hidden), REAL))


@pytest.mark.parametrize("kind", heads.serving(TARGETS["regression"]))
def test_what_it_predicts_has_nothing_to_do_with_auxiliary_targets(kind: str) -> None:
    targets = TARGETS["regression"]
    plain, hidden, *_ = batch({"kind": kind}, targets)
    more, *_ = batch({"kind": kind, "aux": {}}, targets)
    raw = more(hidden)
    own = raw.shape[-1] - 4 * targets.count  # differences at lags 1 to 4 come last
    assert own == plain(hidden).shape[-1]
    assert torch.equal(more.predict(raw, REAL), plain.predict(raw[..., :own], REAL))
    both = more.spread(raw), plain.spread(raw[..., :own])
    assert both == (None, None) or torch.equal(*both)  # type: ignore[arg-type]
