"""Row weights in fitted blends: a row of weight w counts as w rows; the same weight everywhere changes no bit."""

from __future__ import annotations

from dataclasses import replace

import blends
import numpy as np
import pytest

from foldline.ensemble import BlendConfig, BlendRows, fit
from foldline.ensemble.methods import FITS

QUICK = BlendConfig(trials=12, rounds=5)
FITTED = ("best-member", "spread", "hill-climb", "simplex", "nnls", "lad", "optuna", "ridge", "lightgbm")


def weighted(rows: BlendRows, seed: int = 0) -> tuple[BlendRows, BlendRows]:
    """Rows with weights 1, 2 and 3; and rows that are there so many times."""
    times = np.random.default_rng(seed).integers(1, 4, size=len(rows.y))
    return replace(rows, weight=times.astype(float)), rows.where(np.repeat(np.arange(len(times)), times))


def unequal(seed: int = 0) -> BlendRows:
    """Noise whose best weights depend on which rows count."""
    rows = blends.noisy(members=3, targets=2, seed=seed, metric="mse")
    swapped = np.where(np.arange(len(rows.y))[:, None] % 2 == 0, rows.predictions, rows.predictions[::-1])
    return replace(rows, predictions=swapped)


@pytest.mark.parametrize("method", FITTED)
def test_constant_weights_give_the_bits_of_none(method: str) -> None:
    rows = blends.noisy(targets=2)
    constant = replace(rows, weight=np.full(len(rows.y), 0.3))
    assert fit(QUICK, constant, method) == fit(QUICK, rows, method)


@pytest.mark.parametrize("method", ["best-member", "hill-climb", "nnls", "lad", "ridge"])
def test_a_row_of_weight_two_counts_as_two_rows(method: str) -> None:
    given, repeated = weighted(unequal())
    found, by_hand = (np.asarray(fit(QUICK, rows, method).weights) for rows in (given, repeated))
    np.testing.assert_allclose(found, by_hand, atol=2e-2 if method == "lad" else 1e-6)
    if method in ("nnls", "ridge"):
        assert np.abs(found - np.asarray(fit(QUICK, replace(given, weight=None), method).weights)).max() > 1e-4


@pytest.mark.parametrize("method", ["nnls", "lad", "ridge", "lightgbm", "spread"])
def test_rows_that_hardly_count_hardly_matter(method: str) -> None:
    """Half of the rows say the opposite of the others, with a thousandth of their weight."""
    rows = blends.noisy(count=480, metric="mse" if method == "nnls" else "mae")
    light = np.arange(len(rows.y)) % 2 == 0
    y = np.where(light[:, None], 3 * rows.predictions[2] - rows.y, rows.y)
    mixed = replace(rows, y=y, weight=np.where(light, 1e-3, 1.0))
    heavy = mixed.where(~light)
    fitted, alone, blind = (fit(QUICK, some, method) for some in (mixed, heavy, replace(mixed, weight=None)))
    costs = [heavy.cost(each.apply(heavy.predictions)) for each in (alone, fitted, blind)]
    assert costs[1] < costs[0] + 0.2 * (costs[2] - costs[0])


@pytest.mark.parametrize("size", [2.0**-40, 2.0**40])
@pytest.mark.parametrize("method", ["nnls", "lad", "ridge"])
def test_the_size_of_targets_changes_no_weight(method: str, size: float) -> None:
    rows = blends.noisy(count=480, metric="mse" if method == "nnls" else "mae")
    scaled = replace(rows, y=rows.y * size, predictions=rows.predictions * size)
    weights, expected = (np.asarray(fit(QUICK, some, method).weights) for some in (scaled, rows))
    np.testing.assert_allclose(weights, expected, atol=1e-9)


def test_ridge_is_fitted_where_one_fold_alone_has_weights_above_0() -> None:
    rows = blends.noisy(count=480, metric="mse")
    rows = replace(rows, weight=(rows.fold == rows.fold[0]).astype(float))
    weights = np.asarray(fit(QUICK, rows, "ridge").weights)
    assert np.isfinite(weights).all() and weights.sum() == pytest.approx(1)


def test_all_fitted_methods_are_here() -> None:
    assert set(FITS) - set(FITTED) == {"mean", "logit", "rank", "median", "trimmed-mean"}  # fitted to no truth
