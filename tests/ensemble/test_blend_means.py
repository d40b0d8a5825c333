"""Means of probabilities and ranks, by hand: arithmetic, log odds (geometric), ranks."""

from __future__ import annotations

import json
from dataclasses import replace

import blends
import numpy as np
import pytest
from scipy.stats import rankdata

from foldline.data import metrics
from foldline.data.metrics.options import Kind
from foldline.ensemble import Blend, BlendConfig, BlendRows, fit

CONFIG = BlendConfig()


def rows_of(kind: Kind, name: str, predictions: np.ndarray, y: np.ndarray) -> BlendRows:
    return replace(blends.rows(predictions, y), metric=metrics.metric(name, kind=kind), kind=kind)


def binary(columns: int = 1, count: int = 300) -> BlendRows:
    """Three members that see the same signal in scales of their own."""
    made = blends.probabilities(targets=columns, count=count)
    kind: Kind = "binary" if columns == 1 else "multilabel"
    scaled = made.predictions ** np.array([0.2, 1.0, 6.0])[:, None, None]
    return replace(made, predictions=scaled, metric=metrics.metric("auc", kind=kind), kind=kind)


@pytest.mark.parametrize("columns", [1, 2])
def test_the_logit_mean_is_the_geometric_mean_of_both_outcomes(columns: int) -> None:
    p = binary(columns).predictions.clip(1e-6, 1 - 1e-6)
    yes, no = p.prod(axis=0) ** (1 / 3), (1 - p).prod(axis=0) ** (1 / 3)
    np.testing.assert_allclose(fit(CONFIG, binary(columns), "logit").apply(p), yes / (yes + no), rtol=1e-10)
    np.testing.assert_allclose(fit(CONFIG, binary(columns), "mean").apply(p), p.mean(axis=0), rtol=1e-14)


@pytest.mark.parametrize("kind", ["multiclass", "distribution"])
def test_of_shares_it_is_the_geometric_mean_of_sum_one(kind: Kind) -> None:
    shares = np.random.default_rng(0).dirichlet([1, 2, 3], size=(2, 60))
    rows = rows_of(kind, "log_loss", shares, np.eye(3)[np.arange(60) % 3])
    product = np.sqrt(shares[0] * shares[1])
    expected = product / product.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fit(CONFIG, rows, "logit").apply(shares), expected, rtol=1e-12)


@pytest.mark.parametrize("columns", [1, 2])
def test_the_rank_mean_has_the_order_of_mean_ranks(columns: int) -> None:
    rows = binary(columns)
    blended = fit(CONFIG, rows, "rank").apply(rows.predictions)
    ranks = rankdata(rows.predictions, axis=1).mean(axis=0)
    np.testing.assert_array_equal(rankdata(blended.round(12), axis=0), rankdata(ranks.round(6), axis=0))
    assert rows.score(blended) == pytest.approx(rows.score(ranks / len(ranks)), abs=1e-12)
    assert (blended >= 0).all() and (blended <= 1).all()  # on the members' scale


def test_a_series_alone_gets_the_ranks_it_has_among_all() -> None:
    rows = binary(count=3000)
    fitted = Blend.from_json(json.loads(json.dumps(fit(CONFIG, rows, "rank").to_json())))
    together = fitted.apply(rows.predictions)
    alone = np.concatenate([fitted.apply(rows.predictions[:, [row]]) for row in range(20)])
    np.testing.assert_array_equal(alone, together[:20])
    exact = rankdata(rows.predictions, axis=1).mean(axis=0)
    assert rows.score(together) == pytest.approx(rows.score(exact / len(exact)), abs=2e-4)  # 1000 knots of 3000 rows


def test_ranks_of_members_in_other_units_and_of_constant_ones() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=(200, 1))
    members = np.stack([1e6 * np.exp(y + 0.5 * rng.normal(size=y.shape)), y + 0.5 * rng.normal(size=y.shape), 0 * y])
    rows = rows_of("regression", "spearman", members, y)
    assert rows.score(fit(CONFIG, rows, "rank").apply(members)) > rows.score(fit(CONFIG, rows, "mean").apply(members))
    beyond = fit(CONFIG, rows, "rank").apply(np.array([[[1e12]], [[99.0]], [[5.0]]]))
    assert np.isfinite(beyond).all()
