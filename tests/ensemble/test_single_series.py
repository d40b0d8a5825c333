"""Blends of too little to fit anything on: a single series, or folds of one series each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foldline import ensemble
from foldline.data.metrics import METRICS
from foldline.ensemble import BlendConfig, BlendRows, post_processing
from foldline.ensemble.methods import FITS
from foldline.experiment import after_blend

RNG = np.random.default_rng(0)
ROWS = BlendRows(
    labels=("a", "b"),
    predictions=RNG.normal(size=(2, 12, 1)),
    y=RNG.normal(size=(12, 1)),
    fold=np.zeros(12, dtype=np.int64),
    series=np.zeros(12, dtype=np.int64),
    metric=METRICS["mae"],
)


@pytest.mark.parametrize("method", [*FITS, "auto"])
@pytest.mark.parametrize("folds", [1, 2])
def test_where_nothing_can_be_held_out_members_count_alike(method: str, folds: int) -> None:
    halves = np.repeat([0, 1], 6) if folds == 2 else np.zeros(12, dtype=np.int64)
    rows = replace(ROWS, fold=halves, series=halves)
    nested = ensemble.nested(BlendConfig(method=method, trials=5, rounds=5), rows)
    np.testing.assert_allclose(nested.values, rows.predictions.mean(axis=0))
    np.testing.assert_array_equal(after_blend.snapped_by_fold(nested, rows), nested.values)


def test_no_rows_at_all_decide_for_no_grid() -> None:
    nothing = np.zeros((0, 2))
    assert post_processing.helpful_grids(nothing, nothing, METRICS["mae"]) == [None, None]
