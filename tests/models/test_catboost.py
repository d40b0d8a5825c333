"""CatBoost's own: symmetric trees, where they begin, its files, its keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tree_libraries import assert_keys_reach, inputs, made

from foldline.models.ops.boosting import Watched

pytest.importorskip("catboost")
ONE = {"rounds": 1, "objective": "l2", "learning_rate": 1.0, "subsample": 1.0}


def asked_of(model: Any, x: np.ndarray) -> list[int]:
    """The features on which a model's predictions depend."""
    before, found = model.predict(x, 1), []
    for column in range(x.shape[1]):
        other = x.copy()
        other[:, column] = np.roll(x[:, column], 7)
        if not np.array_equal(model.predict(other, 1), before):
            found.append(column)
    return found


def test_all_nodes_at_a_depth_ask_the_same() -> None:
    """Best is to ask the first feature, then the second on one side and the third on the other, as XGBoost does."""
    x = inputs()
    y = (4.0 * (x[:, 0] > 0) + np.where(x[:, 0] > 0, x[:, 1] > 0, x[:, 2] > 0))[:, None].astype(np.float64)
    same = made("catboost", **ONE, depth=2, random_strength=0.0)
    same.fit(x, y, 0, 1)
    assert len(asked_of(same, x)) == 2 and len(np.unique(same.predict(x, 1))) == 4
    pytest.importorskip("xgboost")
    free = made("xgboost", **ONE, max_depth=2, colsample_bytree=1.0)
    free.fit(x, y, 0, 1)
    assert asked_of(free, x) == [0, 1, 2]


@pytest.mark.parametrize("objective", ["huber", "poisson", "tweedie", "l2"])
def test_trees_begin_from_the_middle_of_the_labels(objective: str, tmp_path: Path) -> None:
    """One small step leads nowhere else; CatBoost itself would begin from 0 (of logarithms: 1) with the first three."""
    y = 1000.0 + np.arange(400.0)[:, None] % 50
    seen: list[np.ndarray] = []

    def score(of: np.ndarray, predicted: np.ndarray) -> float:
        seen.append(predicted)
        return -float(len(seen))

    model, other = (made("catboost", objective=objective, rounds=3, learning_rate=1e-6) for _ in range(2))
    model.fit(inputs(), y, 0, 1, watched=Watched(x=inputs(), y=y, stop=2, score=score))
    model.save(tmp_path)
    other.load(tmp_path)
    np.testing.assert_allclose(other.predict(inputs(), 1), y.mean(), rtol=1e-3)
    np.testing.assert_allclose(seen[-1], model.predict(inputs(), 1), rtol=1e-9)
    assert np.array_equal(other.predict(inputs(), 1), model.predict(inputs(), 1))


def test_two_trainings_leave_the_same_bytes_and_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    y = np.stack([inputs()[:, 0], np.full(400, 2.5)], axis=1).astype(np.float64)
    for number in range(2):
        model = made("catboost", rounds=3)
        model.fit(inputs(), y, 0, 1)
        (tmp_path / str(number)).mkdir()
        model.save(tmp_path / str(number))
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / str(n)).iterdir()} for n in range(2))
    assert first == second and sorted(first) == ["booster-0.cbm", "booster-1.json", "middles.json"]
    assert json.loads(first["booster-1.json"]) == {"constant": 2.5}
    assert first["booster-0.cbm"][:4] == b"CBM1" and {path.name for path in tmp_path.iterdir()} == {"0", "1"}


def test_few_watched_rows_of_a_class_that_training_lacks_are_scored() -> None:
    y = np.eye(3)[(inputs()[:, 0] > 0).astype(int)]
    seen: list[np.ndarray] = []

    def score(of: np.ndarray, predicted: np.ndarray) -> float:
        seen.append(predicted)
        return 0.0

    model = made("catboost", objective="multiclass")
    watched = Watched(x=inputs()[:1], y=np.array([[0.0, 0.0, 1.0]]), stop=2, score=score)
    model.fit(inputs(), y, 0, 1, watched=watched, kind="multiclass")
    assert len(seen) == 3 and all(each.shape == (1, 3) and each[0, 2] == 0 for each in seen)


def test_keys_reach_the_library() -> None:
    sizes = {"depth": 1, "l2_leaf_reg": 90.0, "random_strength": 9.0}
    shares = [({"objective": "l2"}, {key: 0.4}) for key in ("subsample", "rsm", "learning_rate")]
    assert_keys_reach("catboost", [*(({}, {key: value}) for key, value in sizes.items()), *shares])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"depth": 0}, "depth must be from 1 to 16, but is 0"),
        ({"depth": 17}, "depth must be from 1 to 16, but is 17"),
        ({"learning_rate": 1.5}, "learning_rate must be at most 1, but is 1.5"),
        ({"rsm": 0.0}, r"rsm must be in \(0, 1\], but is 0.0"),
        ({"l2_leaf_reg": -1.0}, "l2_leaf_reg must be finite and not below 0, but is -1.0"),
        ({"random_strength": float("nan")}, "random_strength must be finite and not below 0, but is nan"),
        ({"device": "cuda", "rsm": 0.5}, "rsm must be 1 with device = 'cuda'"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made("catboost", **table)
