"""Weights of each target: kept where they gain on other folds, stored, applied, and never fitted on their own rows."""

from __future__ import annotations

import json
from dataclasses import replace

import blends
import numpy as np
import pytest

from foldline.ensemble import Blend, BlendConfig, BlendRows, fit, nested
from foldline.ensemble.fitted_blend import ColumnWeights, WeightedSum
from foldline.ensemble.target_weights import described

CONFIG = BlendConfig(per_target=True, trials=10)
METHODS = ("best-member", "hill-climb", "simplex", "nnls", "lad", "optuna", "ridge")


def opposite(metric: str = "mse", count: int = 240) -> BlendRows:
    """Two members, each good at one of two targets."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(count, 2))
    noise = rng.normal(size=(2, count, 2)) * np.array([[0.2, 1.5], [1.5, 0.2]])[:, None]
    return blends.rows(y + noise, y, metric)


@pytest.mark.parametrize("method", METHODS)
def test_each_target_gets_the_member_that_is_good_at_it(method: str) -> None:
    rows = opposite("mae" if method == "lad" else "mse")
    fitted, common = fit(CONFIG, rows, method), fit(replace(CONFIG, per_target=False), rows, method)
    assert isinstance(fitted.rule, ColumnWeights) and isinstance(common.rule, WeightedSum)
    assert fitted.rule.weights[0][0] > 0.7 > 0.3 > fitted.rule.weights[1][0]
    assert rows.score(fitted.apply(rows.predictions)) < 0.5 * rows.score(common.apply(rows.predictions))
    assert Blend.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted
    by_hand = [np.tensordot(share, rows.predictions[..., k], axes=1) for k, share in enumerate(fitted.rule.weights)]
    offset = np.asarray(fitted.rule.offset) if fitted.rule.offset else 0.0
    np.testing.assert_allclose(fitted.apply(rows.predictions), np.stack(by_hand, axis=1) + offset, atol=1e-12)


def test_only_the_targets_that_gain_have_weights_of_their_own() -> None:
    """Members are alike at two targets of three: common weights stay there."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=(400, 3))
    scale = np.array([[1.0, 1.0, 0.1], [1.0, 1.0, 2.0]])
    rows = blends.rows(y + rng.normal(size=(2, 400, 3)) * scale[:, None], y, "mse")
    common, found = fit(replace(CONFIG, per_target=False), rows, "nnls"), fit(CONFIG, rows, "nnls")
    assert isinstance(found.rule, ColumnWeights)
    assert found.rule.weights[2] != common.weights and list(described(found.rule, "abc")) == ["a", "b", "c"]


def test_noise_keeps_common_weights() -> None:
    """The same members at all targets: own weights are fitted to less, and no better on other folds."""
    rng = np.random.default_rng(2)
    y = np.repeat(rng.normal(size=(60, 1)), 4, axis=1)
    error = rng.normal(size=(3, 60, 1))
    rows = blends.rows(y + error, y, "mse")
    found = fit(CONFIG, rows, "nnls")
    assert isinstance(found.rule, WeightedSum) and found == fit(replace(CONFIG, per_target=False), rows, "nnls")


@pytest.mark.parametrize("metric", ["mae", "mse"])
def test_without_the_key_nothing_changes(metric: str) -> None:
    assert isinstance(fit(BlendConfig(), opposite(metric)).rule, WeightedSum)


@pytest.mark.parametrize("method", ["hill-climb", "ridge"])
def test_a_folds_own_targets_never_weigh_its_rows(method: str) -> None:
    rows = opposite()
    before = nested(CONFIG, rows, method)
    inside = rows.fold == 1
    changed = replace(rows, y=np.where(inside[:, None], 100.0 * rows.predictions[0], rows.y))
    after = nested(CONFIG, changed, method).values
    assert isinstance(before.fitted[0].rule, ColumnWeights)
    np.testing.assert_array_equal(after[inside], before.values[inside])
    assert not np.array_equal(after[~inside], before.values[~inside])


def test_a_member_that_no_target_needs_need_not_predict() -> None:
    rule = ColumnWeights(((0.5, 0.0, 0.5), (1.0, 0.0, 0.0)), (1.0, 2.0))
    blend = Blend("ridge", ("a", "b", "c"), rule)
    assert blend.weights == (0.75, 0.0, 0.25)
    reduced = blend.without_zero_weights()
    assert reduced.labels == ("a", "c")
    values = np.random.default_rng(0).normal(size=(3, 5, 2))
    np.testing.assert_allclose(reduced.apply(values[[0, 2]]), blend.apply(values))
