"""Heads of other targets than numbers, and losses in the target's own unit, against slow references and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import Tensor
from torch.nn import functional

from foldline.models import heads
from foldline.models.contract import Head, Targets
from foldline.models.heads.mcrmse import GAIN, MCRMSE
from foldline.models.heads.ordinal import Ordinal

BINARY, LABELS = Targets(count=1, kind="binary"), Targets(count=3, kind="multilabel")
CLASSES, SHARES = Targets(count=3, kind="multiclass"), Targets(count=3, kind="distribution")
RANKS = Targets(count=1, kind="ordinal", classes=4)
NUMBERS = Targets(count=2, center=(10.0, 200.0), scale=(2.0, 50.0))


def make(targets: Targets, kind: str, **options: Any) -> Head:
    return heads.build({"kind": kind, **options}, 4, targets)


def loss(head: Head, raw: Any, y: Any, weight: Any = None) -> float:
    """Of one series: raw (T, P), y (T, K), weight (T); None: ones."""
    raw, y = torch.as_tensor(raw, dtype=torch.float32), torch.as_tensor(y, dtype=torch.float32)
    weight = torch.ones(len(y)) if weight is None else torch.as_tensor(weight, dtype=torch.float32)
    return head.loss(raw[None], y[None], weight[None], None).item()


def predicted(head: Head, raw: Any) -> Tensor:
    raw = torch.as_tensor(raw, dtype=torch.float32)[None]
    return head.predict(raw, torch.ones(raw.shape[:2], dtype=torch.bool))[0]


def best(head: Head, y: Tensor, steps: int = 600) -> Tensor:
    """The prediction (K,), the same for all of y (N, K), that minimises the head's loss, its own weights included."""
    raw = torch.zeros(1, 1, head(torch.zeros(1, 1, 4)).shape[-1], requires_grad=True)
    optimiser = torch.optim.Adam([{"params": [raw]}, {"params": head.parameters(), "lr": 0.05 / GAIN}], lr=0.05)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        head.loss(raw.expand(1, len(y), -1), y[None], torch.ones(1, len(y)), None).backward()
        optimiser.step()
        schedule.step()
    return predicted(head, raw.detach()[0])[0]


def own_unit(scaled: Tensor) -> Tensor:
    return scaled * torch.tensor(NUMBERS.scale) + torch.tensor(NUMBERS.center)


def scaled(own: Tensor) -> Tensor:
    return (own - torch.tensor(NUMBERS.center)) / torch.tensor(NUMBERS.scale)


# ---------------------------------------------------------------- binary, multilabel


def test_bce_by_hand() -> None:
    """p = 3/4 where the logit is log 3."""
    head, logit = make(BINARY, "bce"), math.log(3)
    assert loss(head, [[logit]], [[1.0]]) == pytest.approx(-math.log(3 / 4))
    assert loss(head, [[logit]], [[0.0]]) == pytest.approx(-math.log(1 / 4))
    assert loss(head, [[logit], [logit]], [[1.0], [0.0]], [1, 3]) == pytest.approx(
        -(math.log(3 / 4) + 3 * math.log(1 / 4)) / 4
    )
    assert predicted(head, [[logit]]).item() == pytest.approx(3 / 4)
    smooth = -(0.9 * math.log(3 / 4) + 0.1 * math.log(1 / 4))
    assert loss(make(BINARY, "bce", label_smoothing=0.2), [[logit]], [[1.0]]) == pytest.approx(smooth)
    focal = make(BINARY, "bce", focal=2.0)
    assert loss(focal, [[logit]], [[1.0]]) == pytest.approx(-((1 / 4) ** 2) * math.log(3 / 4))
    assert loss(focal, [[logit]], [[0.0]]) == pytest.approx(-((3 / 4) ** 2) * math.log(1 / 4))


def test_bce_is_that_of_scikit_learn_and_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    raw, y = torch.randn(50, 3, generator=generator), (torch.rand(50, 3, generator=generator) < 0.4).float()
    each = [metrics.log_loss(y[:, k], raw.double().sigmoid()[:, k]) for k in range(3)]
    assert loss(make(LABELS, "bce"), raw, y) == pytest.approx(np.mean(each))
    weights = [0.5, 1.0, 7.0]
    expected = functional.binary_cross_entropy_with_logits(raw, y, pos_weight=torch.tensor(weights)).item()
    assert loss(make(LABELS, "bce", positive_weight=weights), raw, y) == pytest.approx(expected)
    assert loss(make(LABELS, "bce", positive_weight=[2.0]), raw, y) == pytest.approx(
        loss(make(LABELS, "bce", positive_weight=[2.0] * 3), raw, y)
    )


# ---------------------------------------------------------------- multiclass, distribution


def test_softmax_by_hand() -> None:
    """Probabilities 1/6, 2/6, 3/6."""
    raw, head = [[0.0, math.log(2), math.log(3)]], make(CLASSES, "softmax")
    assert loss(head, raw, [[0.0, 1.0, 0.0]]) == pytest.approx(math.log(3))
    assert loss(head, raw, [[0.0, 0.5, 0.5]]) == pytest.approx((math.log(3) + math.log(2)) / 2)
    torch.testing.assert_close(predicted(head, raw), torch.tensor([[1 / 6, 2 / 6, 3 / 6]]))
    weighted = make(CLASSES, "softmax", class_weights=[1, 2, 6])  # their mean is 3
    assert loss(weighted, raw, [[0.0, 1.0, 0.0]]) == pytest.approx(2 / 3 * math.log(3))
    assert loss(weighted, raw, [[0.0, 0.0, 1.0]]) == pytest.approx(2 * math.log(2))
    smooth = -(0.8 * math.log(1 / 3) + 0.1 * math.log(1 / 6) + 0.1 * math.log(1 / 2))
    assert loss(make(CLASSES, "softmax", label_smoothing=0.3), raw, [[0.0, 1.0, 0.0]]) == pytest.approx(smooth)
    focal = make(CLASSES, "softmax", focal=2.0)
    assert loss(focal, raw, [[0.0, 1.0, 0.0]]) == pytest.approx((2 / 3) ** 2 * math.log(3))


def test_softmax_is_that_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    raw, label = 3 * torch.randn(50, 3, generator=generator), torch.randint(3, (50,), generator=generator)
    expected = metrics.log_loss(label, raw.double().softmax(dim=-1))
    assert loss(make(CLASSES, "softmax"), raw, torch.eye(3)[label]) == pytest.approx(expected)


def test_shares_are_learned_by_the_divergence_from_them() -> None:
    head, y = make(SHARES, "softmax"), torch.tensor([0.5, 0.5, 0.0])
    raw = torch.tensor([0.0, math.log(2), math.log(3)])  # probabilities 1/6, 2/6, 3/6
    assert loss(head, raw[None], y[None]) == pytest.approx(0.5 * math.log(0.5 * 6) + 0.5 * math.log(0.5 * 3))
    assert loss(head, torch.tensor([[0.0, 0.0, -200.0]]), y[None]) == pytest.approx(0, abs=1e-7)
    assert loss(head, torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0, 2.0, 3.0]]).softmax(-1)) == pytest.approx(
        0, abs=1e-6
    )


def test_divergence_and_cross_entropy_have_one_gradient() -> None:
    gradients = []
    for targets in (CLASSES, SHARES):
        raw = torch.tensor([[[0.3, -1.0, 2.0]]], requires_grad=True)
        y = torch.tensor([[[0.2, 0.3, 0.5]]])
        make(targets, "softmax", class_weights=[1, 2, 3]).loss(raw, y, torch.ones(1, 1), None).backward()
        gradients.append(raw.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.learned
def test_a_class_of_twice_the_weight_is_one_of_twice_the_rows() -> None:
    y = torch.eye(3)[[0, 0, 1, 1, 1, 2]]
    head = make(CLASSES, "softmax", class_weights=[2.0, 1.0, 1.0])
    torch.testing.assert_close(best(head, y), torch.tensor([4, 3, 1]) / 8, atol=2e-3, rtol=0)
    shares = make(SHARES, "softmax", class_weights=[2.0, 1.0, 1.0])
    torch.testing.assert_close(best(shares, y), torch.tensor([4, 3, 1]) / 8, atol=2e-3, rtol=0)


# ---------------------------------------------------------------- ordinal


def test_corn_by_hand() -> None:
    """f = 3/4, 1/2, 1/5: ranks 0 to 3 have the probabilities 1/4, 3/8, 3/10, 3/40."""
    head, raw = make(RANKS, "ordinal"), [[math.log(3), 0.0, math.log(1 / 4)]]
    for rank, probability in enumerate((1 / 4, 3 / 8, 3 / 10, 3 / 40)):
        assert loss(head, raw, [[float(rank)]]) == pytest.approx(-math.log(probability))
    assert predicted(head, raw).item() == pytest.approx(3 / 8 + 2 * 3 / 10 + 3 * 3 / 40)
    between = -(0.75 * math.log(3 / 8) + 0.25 * math.log(3 / 10))
    assert loss(head, raw, [[1.25]]) == pytest.approx(between)


def test_corns_questions_are_asked_of_their_conditional_sets() -> None:
    """As in the paper: question k is trained on truths of at least k, its answer is whether they are above."""
    head = make(RANKS, "ordinal")
    assert isinstance(head, Ordinal)
    above, asked = head.labels(torch.tensor([[[0.0], [1.0], [3.0], [1.25]]]))
    assert above[0].tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 1], [1, 0.25, 0]]
    assert asked[0].tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 0.25]]


@pytest.mark.learned
@pytest.mark.parametrize("kind", ["ordinal", "l2"])
def test_the_best_rank_is_the_mean(kind: str) -> None:
    y = torch.tensor([0.0, 0, 0, 1, 2, 2, 3, 3, 3, 3])[:, None]
    torch.testing.assert_close(best(make(RANKS, kind), y), y.mean(dim=0), atol=5e-3, rtol=0)


@pytest.mark.learned
@pytest.mark.parametrize(
    ("targets", "y"), [(BINARY, [0.3]), (LABELS, [0.3, 1.0, 0.6]), (SHARES, [0.1, 0.2, 0.7]), (RANKS, [2.3])]
)
def test_a_mixed_truth_is_what_is_best_predicted(targets: Targets, y: list[float]) -> None:
    (kind, *_) = [kind for kind in heads.serving(targets) if kind in ("bce", "softmax", "ordinal")]
    torch.testing.assert_close(best(make(targets, kind), torch.tensor([y])), torch.tensor(y), atol=0.05, rtol=0)


# ---------------------------------------------------------------- losses in the target's own unit


def test_smape_and_rmspe_by_hand() -> None:
    y, p = own_unit(torch.tensor([[0.0, 0.0]])), own_unit(torch.tensor([[1.0, -2.0]]))  # 10 and 200, 12 and 100
    assert loss(make(NUMBERS, "smape"), scaled(p), scaled(y)) == pytest.approx((2 * 2 / 22 + 2 * 100 / 300) / 2)
    assert loss(make(NUMBERS, "rmspe"), scaled(p), scaled(y)) == pytest.approx((0.2**2 + 0.5**2) / 2)
    zero, one = scaled(torch.zeros(1, 2)), scaled(torch.ones(1, 2))
    assert loss(make(NUMBERS, "rmspe", floor=0.5), one, zero) == pytest.approx((1 / 1**2 + 1 / 25**2) / 2)
    assert loss(make(NUMBERS, "smape"), zero, zero) == 0
    assert loss(make(NUMBERS, "smape", floor=2.0), one, zero) == pytest.approx((2 / 4 + 2 / 100) / 2)


@pytest.mark.parametrize(("kind", "power"), [("poisson", 1.0), ("tweedie", 1.5), ("tweedie", 1.1)])
def test_deviances_are_those_of_scikit_learn_in_sizes_of_the_target(kind: str, power: float) -> None:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(40, 2, generator=generator)
    y = torch.poisson(own_unit(torch.randn(40, 2, generator=generator) / 5).clamp(min=0) / 8, generator=generator)
    head = make(NUMBERS, kind) if kind == "poisson" else make(NUMBERS, kind, power=power)
    mean, size = own_unit(predicted(head, raw)).double().numpy(), (12.0, 250.0)
    deviances = [
        metrics.mean_tweedie_deviance(y[:, k].double(), mean[:, k], power=power) / size[k] ** (2 - power)
        for k in range(2)
    ]
    assert loss(head, raw, scaled(y)) == pytest.approx(np.mean(deviances), rel=1e-4)
    np.testing.assert_allclose(np.log(mean / size), raw.double(), rtol=1e-3, atol=1e-5)  # the link


@pytest.mark.learned
@pytest.mark.parametrize("kind", ["poisson", "tweedie", "mcrmse"])
def test_the_best_of_many_is_their_mean(kind: str) -> None:
    y = scaled(torch.tensor([[0.0, 0.0], [0.0, 100.0], [3.0, 50.0], [21.0, 900.0]]))
    torch.testing.assert_close(best(make(NUMBERS, kind), y), y.mean(dim=0), atol=0.01, rtol=0.01)


def test_a_logarithm_far_out_grows_slower_and_keeps_its_slope() -> None:
    head = make(Targets(count=1, center=(0.0,), scale=(1.0,)), "poisson")
    raw = torch.tensor([[[9.0], [11.0], [1e4], [-11.0]]], requires_grad=True)
    found = head.predict(raw, torch.ones(1, 4, dtype=torch.bool)).flatten()
    torch.testing.assert_close(found, math.e**10 * torch.tensor([1 / math.e, 2.0, 9991.0, math.e**-20 / 2]))
    found[1].backward()
    assert raw.grad is not None and raw.grad[0, 1].item() == pytest.approx(math.e**10, rel=1e-5)


@pytest.mark.learned
def test_mcrmses_learned_roots_arrive_at_the_metric() -> None:
    """Its least loss is the mean over the columns of their standard deviations, over the mean scale."""
    torch.manual_seed(0)
    y = torch.randn(500, 2) * torch.tensor([0.3, 4.0])
    head = make(NUMBERS, "mcrmse")
    assert isinstance(head, MCRMSE)
    middle = best(head, y)
    roots = (y - middle).square().mean(dim=0).sqrt()
    torch.testing.assert_close((GAIN * head.log_root).exp().detach(), roots, rtol=0.01, atol=0)
    metric = (roots * torch.tensor(NUMBERS.scale)).mean().item()
    assert loss(head, middle.expand_as(y), y) == pytest.approx(metric / 26, rel=1e-3)
    assert loss(make(NUMBERS, "mcrmse"), middle.expand_as(y), y) > metric / 26  # before they have learned


@pytest.mark.learned
def test_another_level_is_predicted() -> None:
    y = torch.arange(1000.0)[:, None] / 1000
    head = make(Targets(count=1), "quantile", levels=[0.5, 0.9], predict=0.9)
    assert best(head, y).item() == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(
    ("targets", "table", "message"),
    [
        (BINARY, {"kind": "bce", "label_smoothing": 1.0}, r"label_smoothing must be in \[0, 1\), but is 1.0"),
        (BINARY, {"kind": "bce", "focal": -1.0}, "focal must not be below 0, but is -1.0"),
        (BINARY, {"kind": "bce", "positive_weight": [0.0]}, r"positive_weight must be above 0, but is \[0.0\]"),
        (LABELS, {"kind": "bce", "positive_weight": [1.0, 2.0]}, "one for each of the 3 labels, but holds 2"),
        (CLASSES, {"kind": "softmax", "label_smoothing": -0.1}, r"label_smoothing must be in \[0, 1\)"),
        (CLASSES, {"kind": "softmax", "class_weights": [1.0, 2.0]}, "each of the 3 classes, but holds 2"),
        (CLASSES, {"kind": "softmax", "class_weights": [1.0, -2.0, 1.0]}, "class_weights must be above 0"),
        (CLASSES, {"kind": "softmax", "focal": -0.5}, "focal must not be below 0, but is -0.5"),
        (SHARES, {"kind": "softmax", "focal": 2.0}, "focal needs one true class a row, .* leave focal out"),
        (NUMBERS, {"kind": "tweedie", "power": 1.0}, "power must be above 1 and below 2, but is 1.0; .* 'poisson'"),
        (NUMBERS, {"kind": "smape", "floor": 0.0}, "floor must be above 0, but is 0.0"),
        (NUMBERS, {"kind": "rmspe", "floor": 0.0}, "floor must be above 0, but is 0.0"),
        (NUMBERS, {"kind": "quantile", "predict": 0.9}, "levels must hold 0.9, which is the prediction, but is"),
        (NUMBERS, {"kind": "l1", "pool": ["mean"]}, "pool is for targets of whole series, .* leave it out"),
    ],
)
def test_impossible_options_are_refused(targets: Targets, table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        heads.build(table, 4, targets)


def test_targets_refuse_units_and_levels_that_are_none() -> None:
    with pytest.raises(
        ValueError, match="center must hold a number for each of the 2 targets, or nothing, but holds 1"
    ):
        Targets(count=2, center=(1.0,))
    with pytest.raises(ValueError, match=r"scale must be above 0, but is \[0.0\]"):
        Targets(count=1, scale=(0.0,))
    with pytest.raises(ValueError, match="no known first steps, but observed is 3"):
        Targets(count=1, level="series", observed=3)
