"""The competition's metric: values by hand, what better means, and what a key holds of it."""

from __future__ import annotations

import json
import subprocess
import sys
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


@pytest.mark.parametrize("name", ["mae", "mse", "rmse"])
def test_lower_is_better_and_equal_is_not(name: str) -> None:
    metric = METRICS[name]
    assert metric.is_better(1.0, 2.0) and not metric.is_better(2.0, 1.0) and not metric.is_better(1.0, 1.0)
    assert not metric.is_better(float("nan"), 1.0)


def test_arrays_of_any_shape_are_scored_by_their_mean_loss_as_ever() -> None:
    """The bits of foldline 0.1."""
    rng = np.random.default_rng(0)
    for shape in ((1000,), (1000, 3), (10, 20, 3)):
        truth, predicted = rng.normal(size=shape), rng.normal(size=shape).astype(np.float32)
        error = truth - predicted.astype(np.float64)
        expected = [float(np.mean(np.abs(error))), float(np.mean(error**2)), float(np.sqrt(float(np.mean(error**2))))]
        assert [METRICS[name](truth, predicted) for name in ("mae", "mse", "rmse")] == expected


def test_each_metric_has_a_key_of_its_own() -> None:
    keys = [metrics.key_of(name) for name in METRICS]
    assert [key["name"] for key in keys] == list(METRICS) and len({str(key) for key in keys}) == len(METRICS)


def test_a_metric_that_computes_something_else_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = metrics.key_of("mae")
    monkeypatch.setitem(METRICS, "mae", replace(METRICS["mae"], loss=lambda y, p: np.abs(y - p) ** 1.5))
    assert metrics.key_of("mae") != before


def test_options_kind_and_source_are_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [
        metrics.key_of("f1"),
        metrics.key_of("f1", metrics.MetricOptions(average="micro")),
        metrics.key_of("f1", kind="multilabel"),
        metrics.key_of("f1", kind="ordinal", classes=4),
    ]
    assert len({json.dumps(key, sort_keys=True) for key in keys}) == len(keys)
    assert set(keys[0]["sources"]) == {"labels.py", "averages.py", "losses.py"}
    monkeypatch.setattr("pathlib.Path.read_bytes", lambda path: b"another text")
    assert metrics.key_of("f1") != keys[0]


def test_an_unknown_metric_is_refused_with_the_list_and_the_ways_to_add_one() -> None:
    with pytest.raises(UserError, match=r"unknown metric 'maee'.* Did you mean 'mae'\? Known: accuracy, auc") as caught:
        metrics.metric("maee")
    message = str(caught.value)
    assert all(name in message for name in METRICS)
    assert "data.metric = 'metric.py'" in message and "MAKERS" in message


def test_nothing_heavy_is_imported_before_a_metric_is_computed() -> None:
    heavy = "{'sklearn', 'scipy', 'pandas', 'torch'}"
    code = f"import sys, foldline.data.metrics; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
