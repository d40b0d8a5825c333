"""Searches for weights: on any metric, within a budget of its evaluations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import blends
import numpy as np
import pytest

from foldline.data import metrics
from foldline.data.metrics import Metric, MetricOptions
from foldline.data.metrics.options import Array, Kind
from foldline.ensemble import BlendConfig, BlendRows, fit

SEARCHES = ("hill-climb", "simplex", "optuna")


def counted(metric: Metric) -> tuple[Metric, list[int]]:
    """The same metric, and one entry a call."""
    calls: list[int] = []
    compute = metric.compute or (lambda truth, prediction, weight: metric(truth, prediction, weight))

    def spy(truth: Array, prediction: Array, weight: Array | None) -> float:
        calls.append(1)
        return compute(truth, prediction, weight)

    return replace(metric, compute=spy), calls


def of_classes(name: str, kind: Kind, **options: Any) -> BlendRows:
    """Three members of three classes, or of a label: the first is right most often."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, size=240)
    y = np.eye(3)[truth] if kind == "multiclass" else (truth == 0).astype(float)[:, None]
    noise = rng.normal(size=(3, *y.shape)) * np.array([0.8, 1.0, 3.0])[:, None, None]
    p = np.exp(2 * y + noise)
    predictions = p / p.sum(axis=-1, keepdims=True) if kind == "multiclass" else p / (p + np.exp(1.0))
    rows = blends.rows(predictions, y)
    chosen = metrics.metric(name, MetricOptions(**options), kind, 3 if kind == "multiclass" else 2)
    return replace(rows, metric=chosen, kind=kind, groups=rows.series % 3)


def ranks() -> BlendRows:
    return blends.noisy(metric="spearman")


def own_metric() -> BlendRows:
    """A metric that refuses some predictions, as a file may."""

    def compute(truth: Array, prediction: Array, weight: Array | None) -> float:
        if prediction.std() < 0.5:
            raise metrics.NotScorable("too flat")
        return float(np.abs(np.cumsum(truth - prediction)).max())

    rows = blends.noisy()
    return replace(rows, metric=replace(rows.metric, loss=None, compute=compute, name="metric.py"))


ROWS: dict[str, Callable[[], BlendRows]] = {
    "labels": lambda: of_classes("f1", "multiclass", average="macro"),
    "ranks": ranks,
    "groups": lambda: of_classes("auc", "binary", groups="mean", undefined="skip"),
    "own": own_metric,
}


@pytest.mark.parametrize("method", SEARCHES)
@pytest.mark.parametrize("what", ROWS)
def test_a_search_finds_weights_for_any_metric(what: str, method: str) -> None:
    rows = ROWS[what]()
    config = BlendConfig(trials=20, evaluations=60)
    fitted = fit(config, rows, method)
    weights = np.asarray(fitted.weights)
    assert weights.sum() == pytest.approx(1.0) and (weights >= 0).all()
    slack = 1e-2 if method == "optuna" else 0  # its members alone have a millionth of the others
    assert rows.cost(fitted.apply(rows.predictions)) <= min(rows.cost(member) for member in rows.predictions) + slack
    assert fit(config, rows, method) == fitted


@pytest.mark.parametrize("method", SEARCHES)
@pytest.mark.parametrize("evaluations", [3, 17, 40])
def test_a_search_keeps_its_budget(method: str, evaluations: int) -> None:
    rows = ranks()
    metric, calls = counted(rows.metric)
    fit(BlendConfig(evaluations=evaluations), replace(rows, metric=metric), method)
    assert 1 <= len(calls) <= evaluations


def test_bags_share_the_budget() -> None:
    rows = blends.noisy(members=4, metric="spearman")
    metric, calls = counted(rows.metric)
    fit(BlendConfig(evaluations=40, bags=5), replace(rows, metric=metric), "hill-climb")
    assert 5 <= len(calls) <= 40


def test_the_simplex_comes_close_to_the_exact_optimum() -> None:
    rows = blends.noisy(members=4, metric="mse")
    exact, found = (rows.score(fit(BlendConfig(), rows, name).apply(rows.predictions)) for name in ("nnls", "simplex"))
    assert exact - 1e-12 <= found <= 1.001 * exact
