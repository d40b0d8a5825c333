"""The libraries of boosted trees beside LightGBM, small: what their common tests run over."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from foldline import models
from foldline.models.ops.boosting import BoostedTrees

SMALL: dict[str, dict[str, Any]] = {"catboost": {"depth": 3}, "xgboost": {"max_depth": 3, "min_child_weight": 0.0}}
EXTRAS = tuple(SMALL)
ROUNDS: dict[str, Callable[[Any], int]] = {  # how many trees a booster has, of each class
    "catboost": lambda booster: booster.tree_count_,
    "xgboost": lambda booster: booster.num_boosted_rounds(),
}


def each(names: Sequence[str] = EXTRAS) -> pytest.MarkDecorator:
    """Run a test with each of these libraries, as `name`; skipped where one is not installed."""
    lacks = {name: pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"no {name}") for name in names}
    return pytest.mark.parametrize("name", [pytest.param(name, marks=lacks[name]) for name in names])


def made(name: str, **more: Any) -> BoostedTrees[Any]:
    """Make a small model, not fitted."""
    part = models.MODELS[name]
    return part.make(part.config(**{"rounds": 20, **SMALL[name], **more}))


def inputs(rows: int = 400) -> np.ndarray:
    """(R, 3) float32."""
    return np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)


def truth(kind: str) -> np.ndarray:
    """(R, K), learnable from the inputs."""
    x = inputs().astype(np.float64)
    if kind == "binary":
        return (x[:, :1] > 0.5).astype(np.float64)
    if kind == "multilabel":
        return (x > 0).astype(np.float64)
    if kind == "multiclass":
        return np.eye(3)[x.argmax(axis=1)]
    if kind == "distribution":
        return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    if kind == "counts":
        return np.floor(np.exp(x[:, :1])) + 1
    return (x[:, :1] > 0).astype(np.float64) + (x[:, :1] > 1) if kind == "ordinal" else x


def mae(of: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute error."""
    return float(np.abs(predicted - of).mean())


def assert_keys_reach(name: str, changes: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Check that trees are others where a key is. changes: a table, and what is changed of it."""
    x, y = inputs(), np.exp(inputs()[:, :1].astype(np.float64))
    common = (
        ({"objective": "huber", "alpha": 10.0}, {"alpha": 0.01}),
        ({"objective": "tweedie", "tweedie_variance_power": 1.1}, {"tweedie_variance_power": 1.9}),
        ({"objective": "quantile", "alpha": 0.1}, {"alpha": 0.9}),
    )
    for table, change in (*common, *changes):
        found = []
        for each_table in (table, table | change):
            model = made(name, **each_table)
            model.fit(x, y, 0, 1)
            found.append(model.predict(x, 1))
        assert not np.array_equal(*found), change


def words(name: str) -> str:
    """Return the override by which the rides have this model beside LightGBM, and no network."""
    keys = ", ".join(f"{key} = {value}" for key, value in SMALL[name].items())
    trees = "{name = 'lightgbm', rounds = 5, min_data_in_leaf = 2}"
    return f"model=[{trees}, {{name = '{name}', rounds = 5, categories = true, {keys}}}]"
