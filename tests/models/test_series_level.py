"""The contract of models/contract.py for targets of whole series, over every network; those at every step refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from memorising import memorise
from torch import Tensor, nn

from foldline.models import MODELS
from foldline.models.contract import Targets

SERIES, STEPS, FEATURES, LEVELS = 5, 9, 3, (3, 2)
MASK = torch.arange(STEPS)[None, :] < torch.tensor([9, 1, 4, 8, 3])[:, None]  # (B, T)
SCORED = torch.ones(SERIES, 1, dtype=torch.bool)
NUMBERS = Targets(count=2, level="series")
CLASSES = Targets(count=3, kind="multiclass", level="series")
ATTENTION = {"kind": "softmax", "pool": ["attention", "last"]}
# Name in the messages -> model, its table, targets
FORMS: dict[str, tuple[str, dict[str, Any], Targets]] = {
    "hybrid": ("hybrid", {"head": {"kind": "softmax"}}, CLASSES),
    "hybrid attention": ("hybrid", {"head": ATTENTION}, CLASSES),
    "hybrid bce": ("hybrid", {"head": {"kind": "bce"}}, Targets(count=1, kind="binary", level="series")),
    "hybrid l1": ("hybrid", {}, NUMBERS),
    "branches": ("branches", {"head": {"kind": "softmax"}}, CLASSES),
    "first_place": ("first_place", {"heads": 2, "head": {"kind": "softmax"}}, CLASSES),
    "third_place": ("third_place", {"channels": 4, "head": {"kind": "softmax"}}, CLASSES),
    "seq2seq": ("seq2seq", {"align": 4, "head": {"kind": "softmax"}}, CLASSES),
    "deepar": ("deepar", {}, NUMBERS),
    "esrnn": ("esrnn", {"head": {"kind": "softmax"}}, CLASSES),
    "patchtst": (
        "patchtst",
        {"heads": 2, "patch": 4, "stride": 2, "dropout": 0.0, "head": {"kind": "softmax"}},
        CLASSES,
    ),
    "tft": ("tft", {"head": {"kind": "softmax"}, "dropout": 0.0}, CLASSES),
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "deepar": (
        {"form": "autoregressive"},
        "deepar's form = 'autoregressive', unlike 'aligned', needs a target at every",
    ),
    "esrnn": ({"form": "forecast"}, "esrnn's form = 'forecast', unlike 'inputs', needs a target at every step"),
    "nhits": ({}, "nhits needs a target at every step"),
    "seq2seq": ({"autoregressive": True}, "seq2seq with autoregressive = true needs a target at every step"),
    "wavenet": (
        {},
        r"wavenet, which reads its own past \(.*\), needs a target at every step, but this one has a value",
    ),
}
every = pytest.mark.parametrize("form", FORMS)


def make(form: str, width: int = 8) -> nn.Module:
    name, table, targets = FORMS[form]
    torch.manual_seed(0)
    network: nn.Module = (
        MODELS[name].make(MODELS[name].config(**{"width": width, **table}), FEATURES, LEVELS, targets).eval()
    )
    return network


def batch(series: int = SERIES, steps: int = STEPS) -> tuple[Tensor, Tensor]:
    """x (B, T, F) and static codes (B, 2)."""
    x = torch.randn(series, steps, FEATURES, generator=torch.Generator().manual_seed(1))
    return x, torch.arange(series)[:, None] % torch.tensor([4, 3])


def truth(form: str, series: int = SERIES) -> Tensor:
    """(B, 1, K)."""
    targets, random = FORMS[form][2], torch.Generator().manual_seed(2)
    if targets.kind == "regression":
        return torch.randn(series, 1, targets.count, generator=random)
    if targets.kind == "multiclass":
        return torch.eye(targets.count)[torch.arange(series) % targets.count].unsqueeze(1)
    return (torch.rand(series, 1, 1, generator=random) < 0.5).float()


def raw(network: nn.Module, x: Tensor, static: Tensor, mask: Tensor | None) -> Tensor:
    """Raw outputs as the trainer computes them."""
    outputs: Tensor = network.head(network(x, static, mask).float(), mask)
    return outputs


def test_every_network_of_the_registry_is_here() -> None:
    networks = {name for name, part in MODELS.items() if part.config.kind == "network"}
    assert {name for name, *_ in FORMS.values()} | set(REFUSED) == networks


@every
@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (3, 9)])
def test_each_series_has_one_finite_prediction(form: str, shape: tuple[int, int]) -> None:
    network = make(form)
    outputs = raw(network, *batch(*shape), None)
    prediction = network.head.predict(outputs, torch.ones(shape[0], 1, dtype=torch.bool))
    assert prediction.shape == (shape[0], 1, FORMS[form][2].count) and prediction.isfinite().all()


@every
@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "padded"])
def test_finite_gradients_reach_every_parameter(form: str, mask: Tensor | None) -> None:
    network = make(form).train()
    network.head.loss(raw(network, *batch(), mask), truth(form), torch.ones(SERIES, 1), None).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@every
def test_permuting_the_batch_permutes_the_output(form: str) -> None:
    network, (x, static), order = make(form), batch(), torch.tensor([3, 0, 4, 1, 2])
    straight = raw(network, x, static, MASK)[order]
    torch.testing.assert_close(raw(network, x[order], static[order], MASK[order]), straight)


@every
def test_a_padded_series_is_the_series_alone_whatever_stands_behind_it(form: str) -> None:
    network, (x, static) = make(form), batch()
    together = raw(network, torch.where(MASK.unsqueeze(-1), x, 1e3 * torch.randn_like(x)), static, MASK)
    for number, length in enumerate(MASK.sum(dim=1).tolist()):
        alone = raw(network, x[number : number + 1, :length], static[number : number + 1], None)
        torch.testing.assert_close(together[number], alone[0])


@pytest.mark.learned
@every
def test_it_can_memorise_eight_series(form: str) -> None:
    network, (x, static), y, scored = make(form, width=32), batch(8, 6), truth(form, 8), torch.ones(8, 1)
    error = memorise(
        network,
        lambda: network.head.loss(raw(network, x, static, None), y, scored, None),
        lambda: (network.head.predict(raw(network, x, static, None), scored.bool()) - y).abs().mean(),
        lr=1e-2,
        steps=150,
        bound=0.1,
    )
    assert error < 0.1  # of a mean distance from the best constant of 0.4 at least


@pytest.mark.parametrize("name", REFUSED)
def test_networks_that_go_step_by_step_refuse_targets_of_whole_series(name: str) -> None:
    table, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        MODELS[name].make(MODELS[name].config(width=8, **table), FEATURES, LEVELS, NUMBERS)


@pytest.mark.parametrize(
    ("head", "targets"),
    [("poisson", Targets(count=1, observed=3)), ("bce", Targets(count=1, kind="binary", observed=3))],
)
def test_the_forecasting_form_refuses_what_has_no_logarithm_of_a_ratio(head: str, targets: Targets) -> None:
    config = MODELS["esrnn"].config(width=8, form="forecast", head={"kind": head})
    with pytest.raises(ValueError, match=f"the head {head} on {targets.kind} targets can't be taught"):
        MODELS["esrnn"].make(config, FEATURES + 2, LEVELS, targets)
