"""Boosted trees: same bits twice, several targets, text that saves and loads, refused tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldline import models
from foldline.models.ops.boosting import Watched
from foldline.models.systems.lightgbm import LightGBM
from foldline.models.systems.lightgbm_config import Config

SMALL = Config(rounds=8, min_data_in_leaf=5, num_leaves=7)


def rows(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """x (R, 3) float32; y (R, 2): one target rises with column 0, the other falls with column 1."""
    x = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    return x, np.stack([3.0 * x[:, 0], -2.0 * x[:, 1]], axis=1).astype(np.float64)


def mae(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.abs(predicted - truth).mean())


def fitted(seed: int = 0, config: Config = SMALL) -> LightGBM:
    model = LightGBM(config)
    model.fit(*rows(), seed=seed, threads=1)
    return model


def test_same_seed_same_bits_and_another_seed_others() -> None:
    x, _ = rows()
    assert np.array_equal(fitted().predict(x, 1), fitted().predict(x, 1))
    assert not np.array_equal(fitted().predict(x, 1), fitted(seed=1).predict(x, 1))


@pytest.mark.learned
def test_each_target_has_its_own_booster() -> None:
    model, (x, y) = fitted(config=Config(rounds=60, min_data_in_leaf=5)), rows()
    predicted = model.predict(x, 1)
    assert predicted.shape == y.shape and predicted.dtype == np.float64 and len(model.boosters) == 2
    assert (np.abs(predicted - y).mean(axis=0) < 0.2 * np.abs(y).mean(axis=0)).all()


@pytest.mark.learned
@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.8])
def test_a_quantile_is_that_of_its_alpha(alpha: float) -> None:
    """Of rows with equal features, each prediction is the quantile of all labels."""
    x, y = np.zeros((1000, 1), dtype=np.float32), np.random.default_rng(0).permutation(1000.0 * np.arange(1000) / 999)
    model = LightGBM(Config(rounds=5, objective="quantile", alpha=alpha))
    model.fit(x, y[:, None], seed=0, threads=1)
    assert model.predict(x, 1)[0, 0] == pytest.approx(1000 * alpha, abs=5)


def test_hubers_alpha_reaches_the_library() -> None:
    x, _ = rows()
    wide, narrow = (fitted(config=Config(rounds=8, objective="huber", alpha=alpha)) for alpha in (10.0, 0.01))
    assert not np.array_equal(wide.predict(x, 1), narrow.predict(x, 1))


def test_its_text_saves_and_loads_to_the_same_bits(tmp_path: Path) -> None:
    model, other, (x, _) = fitted(), LightGBM(SMALL), rows()
    model.save(tmp_path)
    other.load(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["booster-0.txt", "booster-1.txt", "middles.json"]
    assert np.array_equal(other.predict(x, 1), model.predict(x, 1))


def test_a_gap_where_training_has_none_is_the_middle_and_not_0(tmp_path: Path) -> None:
    x, y = rows()
    x[:, 0] += 10
    x[::7, 1] = np.nan
    model, other = LightGBM(SMALL), LightGBM(SMALL)
    model.fit(x, y, seed=0, threads=1)
    model.save(tmp_path)
    other.load(tmp_path)
    lacking, filled = x[:50].copy(), x[:50].copy()
    lacking[:, 0], filled[:, 0] = np.nan, np.median(x[:, 0])
    for each in (model, other):
        assert np.array_equal(each.predict(lacking, 1), model.predict(filled, 1))
    assert np.isnan(lacking[:, 0]).all(), "what is given stays"
    lacking[:, 0] = 0
    assert not np.array_equal(model.predict(lacking, 1), model.predict(filled, 1))
    (tmp_path / "middles.json").unlink()  # as older versions left it
    other = LightGBM(SMALL)
    other.load(tmp_path)
    assert np.array_equal(other.predict(x, 1), model.predict(x, 1))


def test_watched_rows_with_such_gaps_are_scored_as_they_are_predicted() -> None:
    x, y = rows()
    x[:, 0] += 10
    lacking, filled = x.copy(), x.copy()
    lacking[::2, 0], filled[::2, 0] = np.nan, np.median(x[:, 0])

    def scores(watched: np.ndarray) -> list[float]:
        seen: list[float] = []

        def score(truth: np.ndarray, predicted: np.ndarray) -> float:
            seen.append(mae(truth, predicted))
            return seen[-1]

        LightGBM(SMALL).fit(x, y, 0, 1, watched=Watched(x=watched, y=y, stop=8, score=score))
        return seen

    assert scores(lacking) == scores(filled) != scores(x)


@pytest.mark.learned
def test_categories_are_split_by_sets_and_an_unseen_one_is_on_the_side_of_the_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(1, 41, 4000)
    x, y = codes[:, None].astype(np.float32), np.where(codes % 2, 1.0, -1.0)[:, None]
    config = Config(rounds=3, num_leaves=2, learning_rate=1.0, objective="l2", bagging_fraction=1.0)
    model, numbers = LightGBM(config), LightGBM(config)
    model.fit(x, y, seed=0, threads=1, categorical=[0])
    numbers.fit(x, y, seed=0, threads=1)
    assert mae(y, model.predict(x, 1)) < 0.5 < mae(y, numbers.predict(x, 1))
    unseen = model.predict(np.array([[0.0], [99.0]], dtype=np.float32), 1)
    assert np.isfinite(unseen).all() and unseen[0] == unseen[1]
    model.save(tmp_path)
    other = LightGBM(config)
    other.load(tmp_path)
    assert np.array_equal(other.predict(x, 1), model.predict(x, 1))


def test_eleven_targets_are_loaded_in_their_order(tmp_path: Path) -> None:
    x, _ = rows(60)
    model, other = LightGBM(Config(rounds=2, min_data_in_leaf=2)), LightGBM(SMALL)
    model.fit(x, np.arange(11.0) + 0.01 * x[:, :1].astype(np.float64), seed=0, threads=1)
    model.save(tmp_path)
    other.load(tmp_path)  # as text, booster-10 sorts before booster-2
    assert other.predict(x, 1).mean(axis=0).round().tolist() == list(range(11))


def test_rounds_are_reported_over_all_targets() -> None:
    reported: list[tuple[int, int]] = []
    LightGBM(SMALL).fit(*rows(), seed=0, threads=1, on_round=lambda done, of: reported.append((done, of)))
    assert reported == [(done, 16) for done in range(1, 17)]


@pytest.mark.learned
def test_early_stopping_keeps_the_trees_up_to_the_best_round_on_rows_it_is_not_trained_on(tmp_path: Path) -> None:
    """One target is noise, which more and more trees memorise; the other can be learned to the end."""
    config, (x, y), noise = (
        Config(rounds=40, min_data_in_leaf=5),
        rows(),
        np.random.default_rng(1).normal(size=(2, 300)),
    )
    labels, held = np.stack([noise[0], y[:, 0]], axis=1), np.stack([noise[1], y[:, 0]], axis=1)
    whole, stopped, loaded, reported = LightGBM(config), LightGBM(config), LightGBM(config), list[int]()
    whole.fit(x, labels, seed=0, threads=1)
    stopped.fit(
        x, labels, 0, 1, lambda done, of: reported.append(done), watched=Watched(x=x, y=held, stop=5, score=mae)
    )
    kept = [booster.num_trees() for booster in stopped.boosters]
    assert reported == [*range(1, kept[0] + 5 + 1), *range(41, 81)] and kept[1] == 40
    errors = [np.abs(whole.boosters[0].predict(x, num_iteration=n) - noise[1]).mean() for n in range(1, kept[0] + 6)]
    assert kept[0] == 1 + int(np.argmin(errors))  # to be watched changes no tree, only how many there are
    np.testing.assert_array_equal(stopped.predict(x, 1)[:, 0], whole.boosters[0].predict(x, num_iteration=kept[0]))
    stopped.save(tmp_path)
    loaded.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(x, 1), stopped.predict(x, 1))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rounds": 0}, "rounds must be at least 1, but is 0"),
        ({"num_leaves": 1}, "num_leaves must be at least 2, but is 1"),
        ({"learning_rate": 0.0}, "learning_rate must be finite and above 0, but is 0.0"),
        ({"learning_rate": float("inf")}, "learning_rate must be finite and above 0, but is inf"),
        ({"feature_fraction": 1.5}, r"feature_fraction must be in \(0, 1\], but is 1.5"),
        ({"bagging_fraction": 0.0}, r"bagging_fraction must be in \(0, 1\], but is 0.0"),
        ({"min_data_in_leaf": -1}, "min_data_in_leaf must be finite and not below 0, but is -1"),
        ({"lambda_l2": -0.1}, "lambda_l2 must be finite and not below 0, but is -0.1"),
        ({"objective": "quantile"}, "needs alpha, its level, above 0 and below 1, .* but alpha is None"),
        ({"objective": "quantile", "alpha": 0.0}, "above 0 and below 1, .* but alpha is 0.0"),
        ({"objective": "quantile", "alpha": 1.0}, "above 0 and below 1, .* but alpha is 1.0"),
        ({"alpha": 0.5}, "alpha is used by the objectives 'quantile' and 'huber' only, but objective is 'l1'"),
        ({"objective": "huber", "alpha": 0.0}, "must be finite and above 0, but is 0.0"),
        ({"lambda_l2": float("inf")}, "lambda_l2 must be finite and not below 0, but is inf"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**table)


def test_it_depends_on_its_own_files_only() -> None:
    assert [path.name for path in models.source_of("lightgbm", {})] == [
        "boosting.py",
        "boosting_config.py",
        "lightgbm.py",
        "lightgbm_config.py",
    ]
