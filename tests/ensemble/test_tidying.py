"""Rounding and renormalising: kept where they help on other folds, taken always where the config says so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import blends
import numpy as np
import pytest

from foldline.core.errors import UserError
from foldline.data.metrics import metric
from foldline.data.metrics.options import Kind
from foldline.ensemble import BlendConfig, BlendRows, nested, tidying
from foldline.ensemble.post_processing import PostConfig
from foldline.ensemble.tidying import UNTIDIED, Tidying

WHOLE = PostConfig(decimals=0, snap=False)
SUMS = PostConfig(renormalise=True)


def counts(name: str = "mae", near: float = 0.3) -> BlendRows:
    """Whole numbers with gaps, so that they lie on no grid of enough points, and predictions beside them."""
    rng = np.random.default_rng(0)
    y = rng.choice([0.0, 1.0, 2.0, 7.0, 40.0], size=(300, 1))
    return blends.rows((y + rng.uniform(-near, near, size=y.shape))[None], y, name)


def parts(name: str = "mae") -> BlendRows:
    """Two targets of sum one, and predictions that are too large by a factor of their own in each row."""
    rng = np.random.default_rng(1)
    y = rng.dirichlet([2, 3], size=300)
    return blends.rows((y * rng.uniform(0.7, 1.4, size=(300, 1)))[None], y, name)


def by_fold(rows: BlendRows, config: PostConfig, values: np.ndarray | None = None) -> np.ndarray:
    found = nested(BlendConfig(), rows)
    values = found.values if values is None else values
    return tidying.by_fold(values, found.fitted, rows, config, tidying.asked(config)[-1])


def test_numbers_are_rounded_where_the_score_gains() -> None:
    rows = counts()
    np.testing.assert_array_equal(by_fold(rows, WHOLE), rows.y)
    assert tidying.helpful(rows, rows.predictions[0], WHOLE) == Tidying(decimals=0)


def test_a_squared_error_keeps_the_mean() -> None:
    """Predictions are the means of whole numbers: rounding them adds to the squared error."""
    rng = np.random.default_rng(2)
    mean = rng.uniform(0, 9, size=(400, 1))
    rows = blends.rows(mean[None], np.floor(mean + rng.uniform(size=mean.shape)), "mse")
    np.testing.assert_array_equal(by_fold(rows, WHOLE), mean)
    assert tidying.helpful(rows, mean, WHOLE) == UNTIDIED
    np.testing.assert_array_equal(by_fold(rows, replace(WHOLE, always=True)), np.round(mean))


def test_rows_of_sum_one_gain_by_their_sum() -> None:
    rows = parts()
    found = by_fold(rows, SUMS)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert rows.score(found) < 1e-9 < rows.score(rows.predictions[0])
    apart = replace(rows, y=rows.predictions[0])  # as good as they are
    np.testing.assert_array_equal(by_fold(apart, SUMS), rows.predictions[0])


def test_shares_are_renormalised_whatever_the_score_says() -> None:
    p = np.clip(np.random.default_rng(3).dirichlet([1, 1, 1], size=90), 0.1, 0.8)
    rows = replace(blends.rows(p[None], np.eye(3)[np.arange(90) % 3]), kind="multiclass")
    rows = replace(rows, metric=metric("log_loss", kind="multiclass"))
    np.testing.assert_allclose(by_fold(rows, SUMS, p), p / p.sum(axis=1, keepdims=True))


def test_what_can_not_be_divided_stays() -> None:
    odd = np.array([[0.0, 0.0], [-1.0, 0.5], [1.0, 3.0]])
    np.testing.assert_array_equal(Tidying(renormalise=True).apply(odd), [[0.0, 0.0], [-1.0, 0.5], [0.25, 0.75]])
    rounded = Tidying(decimals=1).apply(np.array([[-0.04, 0.25, 1.26]]))
    assert rounded.tolist() == [[0.0, 0.2, 1.3]] and not np.signbit(rounded).any()


@pytest.mark.parametrize(("rows", "config"), [(counts(), WHOLE), (parts(), SUMS)], ids=["decimals", "sums"])
def test_a_folds_own_targets_decide_nothing_for_it(rows: BlendRows, config: PostConfig) -> None:
    before = by_fold(rows, config)
    inside = rows.fold == 2
    own, others = (replace(rows, y=np.where(some[:, None], rows.predictions[0], rows.y)) for some in (inside, ~inside))
    np.testing.assert_array_equal(by_fold(own, config)[inside], before[inside])
    np.testing.assert_array_equal(by_fold(others, config)[inside], rows.predictions[0, inside])
    assert not np.array_equal(before[inside], rows.predictions[0, inside])


def test_a_single_series_decides_nothing() -> None:
    rows = replace(counts(), series=np.zeros(300, dtype=np.int64), fold=np.zeros(300, dtype=np.int64))
    np.testing.assert_array_equal(by_fold(rows, WHOLE), rows.predictions[0])
    np.testing.assert_array_equal(by_fold(rows, replace(WHOLE, always=True)), rows.y)


def test_what_is_taken_is_json() -> None:
    for made in (UNTIDIED, Tidying(decimals=2), Tidying(renormalise=True)):
        assert Tidying.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert Tidying.from_json(None) == UNTIDIED


@pytest.mark.parametrize(
    ("table", "name", "kind", "message"),
    [
        ({"decimals": 1}, "auc", "binary", "rounds numbers, but the target is binary"),
        ({"decimals": 0}, "qwk", "ordinal", "and the metric qwk: leave it out"),
        ({"renormalise": True}, "mae", "regression", "row sums differ from 1 by up to 1"),
        ({"renormalise": True}, "auc", "binary", "The target is binary. Leave it out"),
        ({"clip": (0.01, 0.99)}, "log_loss", "multiclass", "set post.renormalise = true as well"),
    ],
)
def test_what_makes_no_sense_is_refused(table: dict[str, Any], name: str, kind: Kind, message: str) -> None:
    y = np.ones((4, 1 if kind in ("binary", "ordinal") else 2))
    with pytest.raises(UserError, match=message):
        tidying.check(PostConfig(**table), metric(name, kind=kind, classes=2), kind, y)


def test_what_makes_sense_is_not_refused() -> None:
    shares = np.array([[0.25, 0.75]])
    tidying.check(
        PostConfig(clip=(0.01, 0.99), renormalise=True), metric("kl", kind="distribution"), "distribution", shares
    )
    tidying.check(PostConfig(clip=(0.0, 1.0)), metric("log_loss", kind="multiclass"), "multiclass", shares)
    tidying.check(PostConfig(renormalise=True, decimals=3), metric("mae", kind="regression"), "regression", shares)
    tidying.check(PostConfig(decimals=0), metric("mae", kind="ordinal", classes=3), "ordinal", shares[:, :1])


def test_always_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="always is about decimals and renormalise"):
        PostConfig(always=True)
