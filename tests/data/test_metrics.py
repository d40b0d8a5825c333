"""The competition's metric: values by hand, what better means, and what a key holds of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foldline.core.errors import UserError
from foldline.data import metrics
from foldline.data.metrics import METRICS

TRUTH = np.array([[1.0, 2.0], [3.0, -1.0]])
PREDICTED = np.array([[1.0, 4.0], [0.0, -1.0]], dtype=np.float32)


@pytest.mark.parametrize(("name", "score"), [("mae", 5 / 4), ("mse", 13 / 4), ("rmse", (13 / 4) ** 0.5)])
def test_scores_by_hand(name: str, score: float) -> None:
    assert metrics.metric(name)(TRUTH, PREDICTED) == pytest.approx(score, rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_lower_is_better_and_equal_is_not(name: str) -> None:
    metric = METRICS[name]
    assert metric.is_better(1.0, 2.0) and not metric.is_better(2.0, 1.0) and not metric.is_better(1.0, 1.0)
    assert not metric.is_better(float("nan"), 1.0)


def test_each_metric_has_a_key_of_its_own() -> None:
    keys = [metrics.key_of(name) for name in METRICS]
    assert [key["name"] for key in keys] == list(METRICS) and len({str(key) for key in keys}) == len(METRICS)


def test_a_metric_that_computes_something_else_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = metrics.key_of("mae")
    monkeypatch.setitem(METRICS, "mae", replace(METRICS["mae"], loss=lambda y, p: np.abs(y - p) ** 1.5))
    assert metrics.key_of("mae") != before


def test_an_unknown_metric_is_refused_with_the_list() -> None:
    with pytest.raises(UserError, match=r"unknown metric 'maee'.* Did you mean 'mae'\? Known: mae, mse, rmse"):
        metrics.metric("maee")
