"""Blending: the climb by hand, and no row that helps to weigh itself."""

from __future__ import annotations

import numpy as np
import pytest

from foldline import blend
from foldline.blend import BlendConfig
from foldline.metrics import METRICS

MAE = METRICS["mae"]
CLIMB = BlendConfig(method="hill-climb")
LABELS = ("a", "b", "c")


def test_the_climb_finds_weights_made_by_hand() -> None:
    y = np.random.default_rng(0).normal(size=(400, 1))
    error = np.random.default_rng(1).normal(size=(400, 1))
    members = np.stack([y + error, y - 3 * error, y + 50.0])  # 3/4 of the first and 1/4 of the second are exact
    assert blend.climb(members, y, MAE) == [0.75, 0.25, 0.0]


def test_the_climb_keeps_to_the_best_where_the_others_only_harm() -> None:
    y = np.zeros((50, 1))
    assert blend.climb(np.stack([y, y + 1.0, y + 2.0]), y, MAE) == [1.0, 0.0, 0.0]


def test_the_climb_is_never_worse_than_its_best_member() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(size=(200, 2))
    members = y + rng.normal(size=(3, 200, 2)) * np.array([1.0, 2.0, 3.0])[:, None, None]
    weights = np.array(blend.climb(members, y, MAE))
    assert weights.sum() == pytest.approx(1.0) and (weights >= 0).all()
    assert MAE(y, np.tensordot(weights, members, axes=1)) <= min(MAE(y, member) for member in members)


@pytest.mark.parametrize(("method", "expected"), [("mean", 4.0), ("median", 2.0)])
def test_mean_and_median(method: str, expected: float) -> None:
    members = np.array([1.0, 2.0, 9.0])[:, None, None]
    fitted = blend.fit(BlendConfig(method=method), LABELS, members, np.zeros((1, 1)), MAE)
    assert fitted.apply(members).tolist() == [[expected]]


def test_one_model_is_left_alone() -> None:
    fitted = blend.fit(CLIMB, ("a",), np.ones((1, 4, 1)), np.zeros((4, 1)), MAE)
    assert fitted.weights == (1.0,)


def noisy() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three members (M, R, K), the truth (R, K), and four folds (R,)."""
    rng = np.random.default_rng(3)
    y = rng.normal(size=(240, 1))
    return y + rng.normal(size=(3, 240, 1)), y, np.arange(240) % 4


def test_a_folds_own_targets_never_weigh_its_rows() -> None:
    members, y, fold = noisy()
    honest = blend.nested(CLIMB, LABELS, members, y, fold, MAE)
    for number in range(4):
        inside = fold == number
        lied = np.where(inside[:, None], 1000.0 * members[2], y)
        told = blend.nested(CLIMB, LABELS, members, lied, fold, MAE)
        assert np.array_equal(told[inside], honest[inside])
        assert not np.array_equal(told[~inside], honest[~inside])


def test_nested_rows_are_those_of_a_blend_fitted_on_the_others() -> None:
    members, y, fold = noisy()
    nested = blend.nested(CLIMB, LABELS, members, y, fold, MAE)
    others = fold != 2
    by_hand = np.array(blend.climb(members[:, others], y[others], MAE))
    np.testing.assert_array_equal(nested[fold == 2], np.tensordot(by_hand, members[:, fold == 2], axes=1))
