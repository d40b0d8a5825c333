"""Thresholds, cut points and class factors: kept where they help, and never fitted on the rows that they decide."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from foldline.data.metrics import MetricOptions, metric
from foldline.data.metrics.options import Kind
from foldline.ensemble import BlendConfig, BlendRows, decisions, nested
from foldline.ensemble.decisions import UNDECIDED, Decisions
from foldline.ensemble.post_processing import PostConfig

POST = PostConfig()


def rows_of(
    kind: Kind, name: str, y: np.ndarray, predictions: np.ndarray, classes: int = 0, folds: int = 3, **options: str
) -> BlendRows:
    """One member's rows, each a series of its own, the folds in turn."""
    chosen = metric(name, MetricOptions(**options), kind, classes)  # type: ignore[arg-type]
    series = np.arange(len(y))
    return BlendRows(
        labels=("a",), predictions=predictions[None], y=y, fold=series % folds, series=series, metric=chosen, kind=kind
    )


def rare(count: int = 600, rate: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """A rare label and its true probabilities, nearly all below 0.5: F1 needs a lower threshold."""
    rng = np.random.default_rng(0)
    p = np.clip(rng.beta(1, 6, size=count), 0, 1)[:, None]
    return (rng.uniform(size=p.shape) < p).astype(float), p * rate / 0.1


def test_a_threshold_is_the_best_of_all() -> None:
    y, p = rare(150)
    rows = rows_of("binary", "f1", y, p)
    found = decisions.fit(rows, replace(POST, evaluations=1000))
    every = [rows.score((p >= value).astype(float)) for value in np.unique(p)]
    assert found.step == "thresholds" and rows.score(found.apply(p)) == max(every) > rows.score(p)


def test_each_column_has_its_threshold() -> None:
    one, other = rare(), rare(600)
    y, p = np.hstack([one[0], 1 - other[0]]), np.hstack([one[1], 1 - other[1]])
    found = decisions.helpful(rows_of("multilabel", "f1", y, p, average="macro"), p, POST)
    assert found.values[0] < 0.4 and found.values[1] != found.values[0]


def test_cut_points_are_found_and_in_order() -> None:
    rng = np.random.default_rng(1)
    ranks = rng.integers(0, 4, size=(900, 1)).astype(float)
    shrunk = 1.5 + 0.3 * (ranks - 1.5) + rng.normal(scale=0.05, size=ranks.shape)  # towards the middle, as means are
    rows = rows_of("ordinal", "qwk", ranks, shrunk, classes=4)
    found = decisions.helpful(rows, shrunk, POST)
    assert found.step == "cut points" and list(found.values) == sorted(found.values)
    np.testing.assert_allclose(found.values, [1.2, 1.5, 1.8], atol=0.1)
    assert rows.score(shrunk) < 0.7 < 0.99 < rows.score(found.apply(shrunk))


def test_class_factors_reach_an_exhaustive_search() -> None:
    rng = np.random.default_rng(2)
    prior = np.array([0.85, 0.1, 0.05])
    truth = rng.choice(3, size=900, p=prior)
    y = np.eye(3)[truth]
    likelihood = np.exp(1.2 * y + rng.normal(size=y.shape)) * prior
    p = likelihood / likelihood.sum(axis=1, keepdims=True)
    rows = rows_of("multiclass", "f1", y, p, classes=3, average="macro")
    found = decisions.helpful(rows, p, POST)
    grid = np.geomspace(0.25, 32, 30)
    best = max(rows.score(Decisions("class factors", (1.0, a, b)).apply(p)) for a, b in product(grid, grid))
    assert rows.score(p) + 0.05 < best - 0.005 <= rows.score(found.apply(p))


def test_usual_decisions_are_the_metrics_own() -> None:
    edges = np.array([0.0, 0.5, 0.49999, 1.0, 1.5, 2.5, 7.0, -3.0])[:, None]
    for kind, name, classes in (("ordinal", "qwk", 3), ("binary", "accuracy", 2)):
        values = edges if kind == "ordinal" else edges[:4]
        rows = rows_of(kind, name, np.ones_like(values), values, classes)  # type: ignore[arg-type]
        usual = decisions.plain(rows, POST).apply(values)
        np.testing.assert_array_equal(usual, np.clip(np.floor(values + 0.5), 0, classes - 1))


def test_chance_is_not_fitted() -> None:
    """Without any signal a search gains on its own rows; on others it does not, so that nothing is kept."""
    rng = np.random.default_rng(3)
    y, p = rng.integers(0, 2, size=(400, 1)).astype(float), rng.uniform(size=(400, 1))
    rows = rows_of("binary", "accuracy", y, p)
    assert rows.score(decisions.fit(rows, POST).apply(p)) > rows.score(p)
    assert decisions.helpful(rows, p, POST) == UNDECIDED
    both = rows_of("binary", "mcc", y, p)
    assert decisions.by_fold(p, nested(BlendConfig(), both).fitted, both, POST) is p


def test_the_rows_of_a_fold_do_not_depend_on_its_truth() -> None:
    y, p = rare()
    rows = rows_of("binary", "f1", y, p)
    changed = replace(rows, y=np.where(rows.fold[:, None] == 1, 1 - y, y))
    before, after = (decisions.by_fold(p, nested(BlendConfig(), each).fitted, each, POST) for each in (rows, changed))
    assert before is not p and not np.array_equal(before, after)
    np.testing.assert_array_equal(before[rows.fold == 1], after[rows.fold == 1])


@pytest.mark.parametrize("name", ["auc", "log_loss"])
def test_probabilities_stay_where_the_metric_wants_them(name: str) -> None:
    y, p = rare()
    rows = rows_of("binary", name, y, p)
    assert decisions.helpful(rows, p, POST) == UNDECIDED
    assert decisions.by_fold(p, nested(BlendConfig(), rows).fitted, rows, POST) is p


def test_a_key_of_post_switches_it_off() -> None:
    y, p = rare()
    rows = rows_of("binary", "f1", y, p)
    assert decisions.helpful(rows, p, POST).step == "thresholds"
    assert decisions.helpful(rows, p, replace(POST, thresholds=False)) == UNDECIDED


@pytest.mark.parametrize("evaluations", [1, 7, 60])
def test_the_budget_of_evaluations_is_kept(evaluations: int) -> None:
    y, p = rare()
    rows, calls = rows_of("binary", "f1", y, p), []
    compute = rows.metric.compute
    assert compute is not None

    def counted(*given: np.ndarray | None) -> float:
        calls.append(1)
        return compute(*given)  # type: ignore[arg-type]

    decisions.fit(replace(rows, metric=replace(rows.metric, compute=counted)), replace(POST, evaluations=evaluations))
    assert 1 <= len(calls) <= evaluations


def test_the_same_seed_finds_the_same() -> None:
    y, p = rare()
    rows = rows_of("binary", "f1", y, p)
    assert decisions.fit(rows, POST) == decisions.fit(rows, POST)
    found = decisions.fit(rows, POST)
    assert Decisions.from_json(found.to_json()) == found and Decisions.from_json(None) == UNDECIDED


def test_a_single_series_decides_nothing() -> None:
    y, p = rare(50)
    rows = replace(rows_of("binary", "f1", y, p, folds=1), series=np.zeros(50, dtype=np.int64))
    assert decisions.helpful(rows, p, POST) == UNDECIDED
    assert decisions.by_fold(p, nested(BlendConfig(), rows).fitted, rows, POST) is p
