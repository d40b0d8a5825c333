"""XGBoost's own: leaves by hand, its JSON, its keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tree_libraries import assert_keys_reach, inputs, made

pytest.importorskip("xgboost")


def test_a_leaf_is_the_gradients_sum_over_the_curvatures_and_the_penalty() -> None:
    """One tree of two leaves on l2: learning_rate * sum(w (y - base)) / (sum(w) + lambda), and the base the mean."""
    x = np.repeat([[0.0], [1.0]], 10, axis=0).astype(np.float32)
    y, weight = np.where(x > 0, 6.0, 1.0).astype(np.float64), np.where(x[:, 0] > 0, 1.5, 0.5)
    model = made("xgboost", objective="l2", rounds=1, max_depth=1, subsample=1.0, learning_rate=0.5, reg_lambda=3.0)
    model.fit(x, y, 0, 1, weight=weight)
    base = (weight * y[:, 0]).sum() / weight.sum()
    low, high = (base + 0.5 * 10 * w * (value - base) / (10 * w + 3.0) for w, value in ((0.5, 1.0), (1.5, 6.0)))
    np.testing.assert_allclose(model.predict(x, 1)[[0, -1], 0], [low, high], rtol=1e-6)


def test_what_is_stored_is_json(tmp_path: Path) -> None:
    model = made("xgboost", rounds=2)
    model.fit(inputs(), inputs()[:, :2].astype(np.float64), 0, 1)
    model.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["booster-0.json", "booster-1.json", "middles.json"]
    stored = json.loads((tmp_path / "booster-1.json").read_text(encoding="utf-8"))
    assert stored["learner"]["objective"]["name"] == "reg:absoluteerror"


def test_keys_reach_the_library() -> None:
    sizes = {"max_depth": 1, "min_child_weight": 50.0, "reg_lambda": 9.0}
    shares = dict.fromkeys(("subsample", "colsample_bytree", "learning_rate"), 0.4)
    assert_keys_reach("xgboost", [({}, {key: value}) for key, value in (sizes | shares).items()])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"max_depth": 0}, "max_depth must be at least 1, but is 0"),
        ({"colsample_bytree": 1.5}, r"colsample_bytree must be in \(0, 1\], but is 1.5"),
        ({"min_child_weight": -1.0}, "min_child_weight must be finite and not below 0, but is -1.0"),
        ({"reg_lambda": float("inf")}, "reg_lambda must be finite and not below 0, but is inf"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made("xgboost", **table)
