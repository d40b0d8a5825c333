"""Methods to blend: each against a slow, obvious reference or by hand, and stored without losing a bit."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import get_args

import blends
import numpy as np
import pytest
from scipy.optimize import linprog

from foldline.core import strict_tables
from foldline.core.errors import UserError
from foldline.ensemble import Blend, BlendConfig, BlendRows, fit
from foldline.ensemble.blend_config import CANDIDATES, Method
from foldline.ensemble.methods import FITS

QUICK = BlendConfig(trials=12, rounds=5)
WEIGHTED = ("best-member", "mean", "hill-climb", "nnls", "lad", "optuna", "ridge")


def weights(method: str, rows: BlendRows, config: BlendConfig = QUICK) -> np.ndarray:
    fitted = fit(config, rows, method)
    assert fitted.weights is not None
    return np.array(fitted.weights)


def mixed(rows: BlendRows, share: np.ndarray) -> float:
    """Score of a weighted sum."""
    return rows.metric(rows.y, np.tensordot(share, rows.predictions, axes=1))


def simplex(members: int, steps: int) -> list[np.ndarray]:
    """Every weight vector of that many steps."""
    parts = itertools.product(range(steps + 1), repeat=members)
    return [np.array(part) / steps for part in parts if sum(part) == steps]


def by_hand() -> BlendRows:
    """Members of which 3/4 of the first and 1/4 of the second are exact, and a third one that only harms."""
    rng = np.random.default_rng(0)
    y, error = rng.normal(size=(400, 1)), rng.normal(size=(400, 1))
    return blends.rows(np.stack([y + error, y - 3 * error, y + 50.0]), y)


def test_the_registry_holds_every_method_a_config_may_name() -> None:
    assert ["auto", *FITS] == list(get_args(Method)) and set(CANDIDATES) == set(FITS) - {"optuna", "simplex"}


@pytest.mark.parametrize("method", ["hill-climb", "nnls", "lad"])
def test_weights_made_by_hand_are_found(method: str) -> None:
    np.testing.assert_allclose(weights(method, by_hand()), [0.75, 0.25, 0.0], atol=1e-12)


@pytest.mark.parametrize("method", WEIGHTED)
def test_weights_sum_to_one_and_are_not_negative(method: str) -> None:
    rows = blends.noisy(targets=2)
    found = weights(method, rows)
    assert found.sum() == pytest.approx(1.0)
    assert method == "ridge" or (found >= 0).all()
    if method not in ("mean", "optuna", "ridge"):  # those that minimise the metric can choose one member alone
        assert mixed(rows, found) <= min(mixed(rows, alone) for alone in np.eye(3)) + 1e-9


def test_nnls_is_the_best_of_all_weights_for_squares() -> None:
    rows = blends.noisy(metric="mse")
    found = mixed(rows, weights("nnls", rows))
    assert found <= min(mixed(rows, share) for share in simplex(3, 50))


def test_lad_is_the_linear_programs_optimum() -> None:
    """The whole program, two constraints a row."""
    rows = blends.noisy(members=4)
    errors, size = rows.errors, len(rows.y)
    sides = np.vstack([np.hstack([errors, -np.eye(size)]), np.hstack([-errors, -np.eye(size)])])
    objective, summing = np.append(np.zeros(4), np.ones(size)), np.append(np.ones(4), np.zeros(size))[None]
    exact = linprog(objective, sides, np.zeros(2 * size), summing, [1.0], bounds=(0, None))
    assert mixed(rows, weights("lad", rows)) == pytest.approx(exact.fun / size, rel=1e-5)


def test_lad_with_errors_of_one_sign_or_none() -> None:
    y = np.random.default_rng(0).normal(size=(60, 1))
    above = blends.rows(
        np.stack([y + 2.0, y + 1.0, y + 3.0]), y
    )  # errors of one sign in every row: none is left for the cutting planes
    np.testing.assert_allclose(weights("lad", above), [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(weights("lad", blends.rows(np.stack([y + 1.0, y]), y)), [0, 1], atol=1e-9)


def test_optuna_comes_close_to_the_exact_optimum_and_repeats_itself() -> None:
    rows, config = blends.noisy(), BlendConfig(trials=60)
    found = weights("optuna", rows, config)
    assert mixed(rows, found) <= 1.01 * mixed(rows, weights("lad", rows))
    assert np.array_equal(found, weights("optuna", rows, config))


def test_the_climb_in_bags_averages_climbs_over_parts_of_the_members() -> None:
    rows = blends.noisy(members=4)
    config = BlendConfig(bags=6, bag_share=0.5, seed=3)
    generator, total = np.random.default_rng(3), np.zeros(4)
    for _ in range(6):
        bag = sorted(generator.choice(4, 2, replace=False).tolist())
        total[bag] += weights("hill-climb", rows.select_members(bag))
    np.testing.assert_allclose(weights("hill-climb", rows, config), total / 6)


def test_ridge_finds_weights_of_any_sign_and_an_offset_for_each_target() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 400, 2))
    rows = blends.rows(np.stack([one, two]), 2 * one - two + np.array([3.0, -1.0]))
    fitted = fit(QUICK, rows, "ridge")
    np.testing.assert_allclose(fitted.apply(rows.predictions), rows.y, atol=1e-4)
    np.testing.assert_allclose(np.array(fitted.weights), [2, -1], atol=1e-4)


def test_ridge_stays_with_equal_weights_where_there_is_nothing_to_learn() -> None:
    rng = np.random.default_rng(0)
    rows = blends.rows(rng.normal(size=(3, 300, 1)), rng.normal(scale=1e-6, size=(300, 1)))
    same = blends.rows(np.stack([rows.y, rows.y]), rows.y)
    np.testing.assert_allclose(weights("ridge", same), [0.5, 0.5])
    far = weights("ridge", blends.rows(rows.y + rng.normal(size=(3, 300, 1)), rows.y))
    np.testing.assert_allclose(far, 1 / 3, atol=0.1)


@pytest.mark.parametrize(("method", "expected"), [("mean", 22.0), ("median", 3.0), ("trimmed-mean", 3.0)])
def test_the_middle_of_five_by_hand(method: str, expected: float) -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 100.0])[:, None, None]
    rows = blends.rows(np.broadcast_to(values, (5, 40, 1)), np.zeros((40, 1)))
    assert fit(QUICK, rows, method).apply(values).tolist() == [[expected]]


def test_the_spread_rule_takes_the_mean_where_members_agree() -> None:
    """Where they are 1 apart the mean is right, where one is 10 off the median is; for the other target all is mean."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 2))
    near, far = np.array([-0.2, -0.2, 0.4])[:, None], np.array([0.0, 0.0, 10.0])[:, None]
    off = np.where(np.arange(200) % 2 == 0, near, far)  # (3, R)
    predictions = np.stack([y[:, 0] + off, y[:, 1] + near * (1 + np.arange(200) % 2)], axis=-1)
    fitted = fit(QUICK, blends.rows(predictions, y), "spread")
    np.testing.assert_allclose(fitted.apply(predictions), y, atol=1e-12)


@pytest.mark.learned
def test_the_trees_correct_the_mean_where_it_is_wrong() -> None:
    rng = np.random.default_rng(0)
    y = rng.uniform(-1, 1, size=(2000, 2))
    bent = y + 0.5 * np.abs(y)
    predictions = np.stack([bent, bent + 0.01 * rng.normal(size=y.shape)])
    rows = blends.rows(predictions, y)
    fitted = fit(BlendConfig(rounds=50), rows, "lightgbm")
    assert rows.metric(y, fitted.apply(predictions)) < 0.1 * rows.metric(y, predictions.mean(axis=0))


@pytest.mark.learned
def test_the_trees_use_the_members_spread_where_all_have_one() -> None:
    """One member is right and the other one off, up or down: only the spread shows which."""
    rng = np.random.default_rng(0)
    y, right = rng.normal(scale=9, size=(1500, 1)), rng.integers(2, size=(1500, 1))
    off = rng.choice([-1.0, 1.0], size=(1500, 1))
    predictions, spread = np.stack([y + off * right, y + off * (1 - right)]), np.stack([right, 1 - right]) + 0.1
    plain = blends.rows(predictions, y)
    with_spread = replace(plain, spread=spread)
    without, using = (fit(BlendConfig(rounds=50), rows, "lightgbm") for rows in (plain, with_spread))
    assert not without.needs_spread and plain.metric(y, without.apply(predictions)) > 0.3
    assert using.needs_spread and plain.metric(y, using.apply(predictions, spread)) < 0.1
    with pytest.raises(AssertionError, match="needs the members' spread"):
        using.apply(predictions)


@pytest.mark.parametrize("method", FITS)
def test_a_fitted_blend_is_json_to_the_last_bit(method: str) -> None:
    rows = blends.fitting(method, targets=2)
    fitted = fit(QUICK, rows, method)
    again = Blend.from_json(json.loads(json.dumps(fitted.to_json(), allow_nan=False)))
    assert again == fitted and again.method == method
    assert np.array_equal(again.apply(rows.predictions), fitted.apply(rows.predictions))


def test_members_without_weight_need_not_predict() -> None:
    rows = by_hand()
    fitted = fit(QUICK, rows, "hill-climb")
    reduced = fitted.without_zero_weights()
    assert reduced.labels == ("m0", "m1")
    np.testing.assert_allclose(reduced.apply(rows.predictions[:2]), fitted.apply(rows.predictions))
    assert fit(QUICK, rows, "median").without_zero_weights().labels == rows.labels


def test_one_member_is_left_alone() -> None:
    fitted = fit(BlendConfig(method="lightgbm"), blends.noisy(members=1))
    assert (fitted.method, fitted.weights) == ("best-member", (1.0,))


def test_a_fit_uses_no_more_values_than_the_config_allows() -> None:
    rows = blends.noisy(count=600, targets=2)
    some = rows.sample(200, seed=1)
    assert some.y.shape == (100, 2) and some.predictions.shape == (3, 100, 2)
    assert (np.diff(some.series) >= 0).all() and len(np.unique(some.series)) > 50  # in order, from all over
    assert rows.sample(1200, seed=1) is rows
    small = BlendConfig(values=200, seed=1)
    assert np.array_equal(weights("nnls", rows, small), weights("nnls", some))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"method": "stack"}, "must be one of 'auto', 'best-member'"),
        ({"trim": 0.5}, "trim must lie between 0 and 0.5"),
        ({"bags": 0}, "bags, trials and rounds must be at least 1"),
        ({"candidates": ["auto"]}, 'not "auto" itself'),
        ({"outside": [{"name": "a", "oof": "x"}]}, "test must be given"),
        ({"outside": [{"name": "a", "oof": "x", "test": "y"}] * 2}, "need different names"),
        ({"outside": [{"name": "", "oof": "x", "test": "y"}]}, "must not be empty"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        strict_tables.build(BlendConfig, table, "blend")
