"""Boosted trees on other targets than numbers, with weights of rows and classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from sklearn import metrics
from tree_libraries import inputs, truth

from foldline.models.contract import Kind
from foldline.models.ops.boosting import Watched, cross_entropy
from foldline.models.ops.boosting_config import check_kind
from foldline.models.systems.lightgbm import LightGBM
from foldline.models.systems.lightgbm_config import SERVES, Config, Objective

ROWS = 400


def fitted(kind: Kind, objective: str, y: np.ndarray | None = None, **more: Any) -> LightGBM:
    config = {"rounds": 20, "min_data_in_leaf": 5, "num_leaves": 7, "objective": objective}
    options = {name: more.pop(name) for name in ("balanced", "class_weights", "alpha", "rounds") if name in more}
    model = LightGBM(Config(**(config | options)))
    model.fit(inputs(), truth(kind) if y is None else y, seed=0, threads=1, kind=kind, **more)
    return model


PAIRS = [(kind, objective) for kind, objectives in SERVES.items() for objective in objectives if kind != "regression"]


@pytest.mark.parametrize(("kind", "objective"), PAIRS)
def test_each_kind_is_predicted_as_its_truth_looks(kind: Kind, objective: str, tmp_path: Path) -> None:
    model, x, y = fitted(kind, objective, **({"alpha": 0.5} if objective == "quantile" else {})), inputs(), truth(kind)
    predicted = model.predict(x, 1)
    assert predicted.shape == y.shape and len(model.boosters) == (1 if objective == "multiclass" else y.shape[1])
    if kind != "ordinal":
        assert (predicted >= 0).all() and (predicted <= 1).all()
    if kind in ("multiclass", "distribution"):
        np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert np.abs(predicted - y).mean() < 0.5 * np.abs(y - y.mean(axis=0)).mean()
    loaded = LightGBM(Config())
    model.save(tmp_path)
    loaded.load(tmp_path)
    assert np.array_equal(loaded.predict(x, 1), predicted)


def test_every_objective_serves_some_kind_and_no_other() -> None:
    assert {name for names in SERVES.values() for name in names} == set(get_args(Objective))
    assert set(SERVES) == set(get_args(Kind))
    for kind in get_args(Kind):
        for objective in get_args(Objective):
            config = Config(objective=objective, alpha=0.5 if objective == "quantile" else None)
            if objective in SERVES[kind]:
                check_kind(config, kind)
                continue
            with pytest.raises(
                ValueError, match=f"'{objective}' does not serve {kind} targets: choose '{SERVES[kind][0]}'"
            ):
                check_kind(config, kind)
    with pytest.raises(ValueError, match="objective = 'l1' does not serve binary targets: choose 'binary'"):
        fitted("binary", "l1")


@pytest.mark.parametrize(
    ("objective", "more"), [("l1", {}), ("l2", {}), ("quantile", {"alpha": 0.9}), ("huber", {"alpha": 1.0})]
)
def test_equal_weights_of_any_size_are_none(objective: str, more: dict[str, Any]) -> None:
    plain = fitted("regression", objective, **more).predict(inputs(), 1)
    for size in (0.1, 1.0, 7.0):
        weighted = fitted("regression", objective, weight=np.full(ROWS, size), **more)
        assert np.array_equal(weighted.predict(inputs(), 1), plain)


def test_only_ratios_of_weights_matter_and_each_booster_has_them() -> None:
    weight = np.random.default_rng(1).uniform(0.5, 2, ROWS)
    one, other = (fitted("regression", "l1", weight=size * weight).predict(inputs(), 1) for size in (1.0, 8.0))
    plain = fitted("regression", "l1").predict(inputs(), 1)
    assert np.array_equal(one, other)
    assert (one != plain).any(axis=0).all()


@pytest.mark.learned
def test_a_row_of_twice_the_weight_is_that_row_twice() -> None:
    """Of rows with equal inputs the prediction is the weighted mean."""
    x, y = np.zeros((100, 1), dtype=np.float32), np.arange(100.0)[:, None]
    model = LightGBM(Config(rounds=5, objective="l2", bagging_fraction=1.0))
    model.fit(x, y, 0, 1, weight=1 + 3 * (y[:, 0] >= 50))
    assert model.predict(x, 1)[0, 0] == pytest.approx((24.5 + 4 * 74.5) / 5, rel=1e-5)


def test_rmspe_is_the_squared_error_weighed_by_the_truth() -> None:
    """Of rows with equal inputs the prediction with the smallest relative errors is sum(w / y) / sum(w / y^2)."""
    x, y, w = np.zeros((90, 1), dtype=np.float32), 1 + np.arange(90.0)[:, None] % 3, 1 + np.arange(90.0) % 2
    model = LightGBM(Config(rounds=200, objective="rmspe", bagging_fraction=1.0))
    model.fit(x, np.hstack([y, -y]), 0, 1, weight=w)
    expected = (w / y[:, 0]).sum() / (w / y[:, 0] ** 2).sum()
    np.testing.assert_allclose(model.predict(x, 1)[0], [expected, -expected], rtol=1e-5)
    with pytest.raises(ValueError, match="objective = 'rmspe' needs targets other than 0"):
        model.fit(x, y - 1, 0, 1)


@pytest.mark.learned
def test_balanced_classes_count_the_same_in_each_label() -> None:
    """Of rows with equal inputs the prediction is the weighted share of 1: a half of each label, whatever its own."""
    x = np.zeros((200, 1), dtype=np.float32)
    y = (np.arange(200)[:, None] < np.array([10, 100, 150])).astype(np.float64)
    flat = {"bagging_fraction": 1.0, "rounds": 5}
    for options, expected in (
        ({}, [0.05, 0.5, 0.75]),
        ({"balanced": True}, [0.5, 0.5, 0.5]),
        ({"class_weights": (1.0, 3.0)}, [30 / 220, 0.75, 450 / 500]),
    ):
        model = LightGBM(Config(objective="binary", **flat, **options))  # type: ignore[arg-type]
        model.fit(x, y, 0, 1, kind="multilabel")
        np.testing.assert_allclose(model.predict(x, 1)[0], expected, rtol=1e-5)


@pytest.mark.learned
def test_weights_of_classes_are_those_of_their_rows() -> None:
    x, y = np.zeros((60, 1), dtype=np.float32), np.eye(3)[np.repeat([0, 1, 2], [10, 20, 30])]
    for options, expected in (
        ({"balanced": True}, [1 / 3, 1 / 3, 1 / 3]),
        ({"class_weights": (6.0, 1.0, 1.0)}, [60 / 110, 20 / 110, 30 / 110]),
    ):
        model = LightGBM(Config(rounds=5, objective="multiclass", bagging_fraction=1.0, **options))  # type: ignore[arg-type]
        model.fit(x, y, 0, 1, kind="multiclass")
        np.testing.assert_allclose(model.predict(x, 1)[0], expected, rtol=1e-4)
    with_rows = LightGBM(Config(rounds=5, objective="multiclass", bagging_fraction=1.0, balanced=True))
    with_rows.fit(x, y, 0, 1, kind="multiclass", weight=1.0 + np.arange(60))
    np.testing.assert_allclose(with_rows.predict(x, 1)[0], [1 / 3] * 3, rtol=1e-4)


@pytest.mark.learned
def test_a_tweedies_power_reaches_the_library() -> None:
    y = np.exp(inputs()[:, :1].astype(np.float64))
    found = []
    for power in (None, 1.1, 1.9):
        model = LightGBM(Config(rounds=10, objective="tweedie", tweedie_variance_power=power))
        model.fit(inputs(), y, 0, 1)
        found.append(model.predict(inputs(), 1))
    assert not np.array_equal(found[0], found[1]) and not np.array_equal(found[1], found[2])


@pytest.mark.learned
@pytest.mark.parametrize("higher", [False, True])
def test_early_stopping_goes_by_a_scores_direction(higher: bool) -> None:
    """On rows whose labels are those of training the log loss falls to the end, and its negative rises."""
    sign = -1 if higher else 1
    y, noise = truth("binary"), (np.random.default_rng(1).random((ROWS, 1)) < 0.5).astype(np.float64)
    stopped = []
    for labels in (y, noise):
        watched = Watched(
            x=inputs(),
            y=labels,
            stop=3,
            score=lambda truth, predicted: sign * float(metrics.log_loss(truth[:, 0], predicted[:, 0])),
            higher_is_better=higher,
        )
        stopped.append(fitted("binary", "binary", y=y, watched=watched, rounds=60).boosters[0].num_trees())
    assert stopped[0] > 5 * stopped[1]


@pytest.mark.parametrize("objective", ["multiclass", "cross_entropy"])
def test_classes_are_watched_together_or_each_by_its_cross_entropy(objective: str) -> None:
    shapes = []

    def score(truth: np.ndarray, predicted: np.ndarray) -> float:
        assert truth.shape == predicted.shape
        np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-12)
        shapes.append(truth.shape)
        return float(metrics.log_loss(truth, predicted))

    watched = Watched(x=inputs(), y=truth("multiclass"), stop=2, score=score)
    model = fitted("multiclass", objective, watched=watched)
    assert shapes == ([(ROWS, 3)] * 20 if objective == "multiclass" else [])
    assert len(model.boosters) == (1 if objective == "multiclass" else 3)


def test_cross_entropy_by_hand() -> None:
    expected = -(0.25 * np.log(0.5) + 0.75 * np.log(0.5) + np.log(0.9)) / 2
    assert cross_entropy(np.array([[0.25], [1.0]]), np.array([[0.5], [0.9]])) == pytest.approx(expected)
    assert cross_entropy(np.array([[1.0]]), np.array([[0.0]])) == pytest.approx(-np.log(1e-15))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"tweedie_variance_power": 1.5}, "used by the objective 'tweedie' only, but objective is 'l1'"),
        ({"objective": "tweedie", "tweedie_variance_power": 2.0}, "at least 1 and below 2, but is 2.0"),
        ({"balanced": True}, "for the objectives 'binary' and 'multiclass', but objective is 'l1'"),
        ({"objective": "cross_entropy", "class_weights": (1.0, 2.0)}, "but objective is 'cross_entropy'"),
        ({"objective": "binary", "balanced": True, "class_weights": (1.0, 2.0)}, "give one of them"),
        ({"objective": "binary", "class_weights": (1.0,)}, "the weights of 0 and of 1, but holds 1 numbers"),
        ({"objective": "multiclass", "class_weights": (1.0, 0.0)}, r"finite and above 0, but is \[1.0, 0.0\]"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**table)


def test_weights_that_fit_no_classes_or_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="for each of the 3 classes, but holds 2"):
        fitted("multiclass", "multiclass", class_weights=(1.0, 2.0))
    for weight in (np.ones(3), np.zeros(ROWS), np.full(ROWS, np.nan)):
        with pytest.raises(ValueError, match="a finite number above 0 for each of the 400 rows"):
            fitted("regression", "l1", weight=weight)
