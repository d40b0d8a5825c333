"""XGBoost and CatBoost keep LightGBM's contract: bits, kinds, weights, gaps, categories, early stopping, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import tree_libraries
from tree_libraries import inputs, made, mae, truth

from foldline import models
from foldline.core import strict_tables
from foldline.models.contract import Kind
from foldline.models.ops.boosting import BoostedTrees, Watched
from foldline.models.ops.boosting_config import check_kind

COUNTS = ("poisson", "gamma", "tweedie")


def fitted(name: str, kind: str = "regression", y: np.ndarray | None = None, **more: Any) -> BoostedTrees[Any]:
    options = {key: more.pop(key) for key in ("weight", "watched", "categorical", "on_round") if key in more}
    model = made(name, **{"objective": "l2", **more})
    of = "regression" if kind == "counts" else kind
    model.fit(inputs(), truth(kind) if y is None else y, 0, 1, kind=of, **options)  # type: ignore[arg-type]
    return model


def objectives(name: str) -> tuple[str, ...]:
    return get_args(strict_tables.field_types(models.MODELS[name].config)["objective"])


@tree_libraries.each()
def test_same_seed_same_bits_whatever_the_threads_and_another_seed_others(name: str) -> None:
    x, y = inputs(), truth("regression")
    found = []
    for seed, threads in ((0, 1), (0, 2), (1, 1)):
        model = made(name)
        model.fit(x, y, seed, threads)
        found.append(model.predict(x, threads))
    assert found[0].dtype == np.float64 and found[0].shape == y.shape
    assert np.array_equal(found[0], found[1]) and not np.array_equal(found[0], found[2])


@tree_libraries.each()
def test_each_kind_and_objective_is_learned_and_what_is_stored_predicts_the_same_bits(
    name: str, tmp_path: Path
) -> None:
    serves = models.MODELS[name].config.serves
    assert {objective for names in serves.values() for objective in names} == set(objectives(name))
    pairs = [("counts" if objective in COUNTS else kind, objective) for kind in serves for objective in serves[kind]]
    for number, (kind, objective) in enumerate(pairs):
        y = truth(kind) + 10 * (objective in ("rmspe", "mape"))
        model = fitted(name, kind, y, objective=objective, alpha=0.5 if objective == "quantile" else None, rounds=30)
        predicted = model.predict(inputs(), 1)
        assert predicted.shape == y.shape and len(model.boosters) == (1 if objective == "multiclass" else y.shape[1])
        if kind in ("multiclass", "distribution"):
            np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=0, atol=1e-12)
        assert mae(y, predicted) < 0.7 * np.abs(y - y.mean(axis=0)).mean(), (kind, objective)
        folder, other = tmp_path / str(number), made(name)
        folder.mkdir()
        model.save(folder)
        other.load(folder)
        assert np.array_equal(other.predict(inputs(), 1), predicted), (kind, objective)


@tree_libraries.each()
def test_an_objective_serves_its_kinds_and_no_others(name: str) -> None:
    part = models.MODELS[name]
    for kind in get_args(Kind):
        for objective in objectives(name):
            config = part.config(objective=objective, alpha=0.5 if objective == "quantile" else None)
            if objective in config.serves[kind]:
                check_kind(config, kind)
                continue
            with pytest.raises(ValueError, match=f"'{objective}' does not serve {kind} targets: choose '"):
                check_kind(config, kind)


@tree_libraries.each()
@pytest.mark.parametrize(("objective", "more"), [("l1", {}), ("l2", {}), ("quantile", {"alpha": 0.9})])
def test_only_ratios_of_weights_matter(name: str, objective: str, more: dict[str, Any]) -> None:
    weight = np.random.default_rng(1).uniform(0.5, 2, len(inputs()))
    plain, equal, one, other = (
        fitted(name, objective=objective, **more, **({} if rows is None else {"weight": rows})).predict(inputs(), 1)
        for rows in (None, np.full(len(weight), 7.0), weight, 8 * weight)
    )
    assert np.array_equal(equal, plain) and np.array_equal(one, other)
    assert (one != plain).any(axis=0).all()


@tree_libraries.each()
def test_weights_of_one_booster_do_not_stay_for_the_next(name: str) -> None:
    """Of two labels the first is rare and has weights; the second is half ones, whose weights are all alike."""
    y = np.stack([np.arange(400) % 10 == 0, np.arange(400) % 2 == 0], axis=1).astype(np.float64)
    both = fitted(name, "multilabel", y, objective="binary", balanced=True).predict(inputs(), 1)
    alone = fitted(name, "binary", y[:, 1:], objective="binary", balanced=True).predict(inputs(), 1)
    assert np.array_equal(both[:, 1:], alone)


@tree_libraries.each()
def test_gaps_are_native_where_training_has_them_and_else_the_middle(name: str, tmp_path: Path) -> None:
    x, y = inputs(), truth("regression")
    x[:, 0] += 10
    x[::3, 1] = np.nan
    y[::3, 1] = 5.0  # what a gap says
    model, other = made(name, objective="l2"), made(name)
    model.fit(x, y, 0, 1)
    model.save(tmp_path)
    other.load(tmp_path)
    lacking, filled = x.copy(), x.copy()
    lacking[:, 0], filled[:, 0] = np.nan, np.median(x[:, 0])
    for each in (model, other):
        assert np.array_equal(each.predict(lacking, 1), model.predict(filled, 1))
        assert mae(each.predict(x, 1)[::3, 1], np.full(134, 5.0)) < 1.0
    assert np.isnan(lacking[:, 0]).all(), "what is given stays"


@tree_libraries.each()
def test_categories_are_sets_and_an_unseen_one_and_a_gap_have_a_place(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=1500), rng.integers(1, 31, 1500), rng.normal(size=1500)], axis=1).astype(np.float32)
    y = np.where(x[:, 1] % 2, 1.0, -1.0)[:, None]
    sets, numbers, loaded = (made(name, objective="l2", rounds=5, learning_rate=0.5) for _ in range(3))
    sets.fit(x, y, 0, 1, categorical=[1])
    numbers.fit(x, y, 0, 1)
    assert mae(y, sets.predict(x, 1)) < 0.6 * mae(y, numbers.predict(x, 1))
    sets.save(tmp_path)
    loaded.load(tmp_path)
    assert np.array_equal(loaded.predict(x, 1), sets.predict(x, 1))
    odd = np.array([[0, 0, 0], [0, 99, 0], [0, np.nan, 0]], dtype=np.float32)
    unseen = loaded.predict(odd, 1)
    assert np.isfinite(unseen).all() and unseen[0] == unseen[1]


@tree_libraries.each()
def test_rounds_are_reported_over_all_targets_and_nothing_is_printed(name: str, capfd: Any, tmp_path: Path) -> None:
    reported: list[tuple[int, int]] = []
    fitted(name, rounds=4, on_round=lambda done, of: reported.append((done, of)))
    assert reported == [(done, 12) for done in range(1, 13)]
    assert capfd.readouterr() == ("", "") and not list(tmp_path.iterdir())


@tree_libraries.each()
@pytest.mark.parametrize("higher", [False, True])
def test_early_stopping_keeps_the_trees_up_to_the_best_round(name: str, higher: bool, tmp_path: Path) -> None:
    """The scores are given: the best of the first target is that of round 3, of the second that of round 2."""
    sign = -1.0 if higher else 1.0
    given, seen = iter([5.0, 4.0, 3.0, 3.5, 3.0, 5.0, 4.0, 6.0, 4.0]), list[np.ndarray]()

    def score(of: np.ndarray, predicted: np.ndarray) -> float:
        assert of.shape == predicted.shape == (100, 1) and predicted.dtype == np.float64
        seen.append(predicted[:, 0])
        return sign * next(given)

    x, y = inputs(), truth("regression")[:, :2]
    watched = Watched(x=x[:100], y=y[:100], stop=2, score=score, higher_is_better=higher)
    reported: list[int] = []
    model = fitted(name, y=y, watched=watched, on_round=lambda done, of: reported.append(done))
    assert next(given, None) is None and reported == [1, 2, 3, 4, 5, 21, 22, 23, 24]
    assert [tree_libraries.ROUNDS[name](booster) for booster in model.boosters] == [3, 2]
    predicted = model.predict(x[:100], 1)
    np.testing.assert_allclose(predicted, np.stack([seen[2], seen[6]], axis=1), rtol=1e-6)
    fewer = fitted(name, y=y, rounds=3).predict(x[:100], 1)  # to be watched changes no tree, only how many there are
    np.testing.assert_allclose(predicted[:, 0], fewer[:, 0], rtol=1e-6)
    model.save(tmp_path)
    other = made(name)
    other.load(tmp_path)
    assert np.array_equal(other.predict(x[:100], 1), predicted)


@tree_libraries.each()
@pytest.mark.parametrize("objective", ["multiclass", "cross_entropy"])
def test_classes_are_watched_together_or_each_by_its_cross_entropy(name: str, objective: str) -> None:
    shapes: list[tuple[int, ...]] = []

    def score(of: np.ndarray, predicted: np.ndarray) -> float:
        np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-6)
        shapes.append(predicted.shape)
        return mae(of, predicted)

    watched = Watched(x=inputs(), y=truth("multiclass"), stop=2, score=score)
    fitted(name, "multiclass", objective=objective, watched=watched)
    assert shapes == ([(400, 3)] * 20 if objective == "multiclass" else [])


@tree_libraries.each()
def test_a_class_that_training_lacks_has_nearly_no_share(name: str) -> None:
    y = np.eye(4)[inputs()[:, :3].argmax(axis=1) + (inputs()[:, :3].argmax(axis=1) > 0)]  # no row of class 1
    for objective in ("multiclass", "cross_entropy"):
        predicted = fitted(name, "multiclass", y, objective=objective).predict(inputs(), 1)
        assert predicted.shape == y.shape and predicted[:, 1].max() < 0.05
        np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=0, atol=1e-12)


@tree_libraries.each()
def test_targets_that_are_all_alike_are_predicted(name: str, tmp_path: Path) -> None:
    for number, (kind, objective, value) in enumerate(
        (("regression", "l2", 2.5), ("regression", "l1", 2.5), ("regression", "poisson", 2.0), ("binary", "binary", 0))
    ):
        watched = Watched(x=inputs(), y=np.ones((400, 1)), stop=2, score=mae)
        model = fitted(name, kind, np.full((400, 1), float(value)), objective=objective, watched=watched)
        np.testing.assert_allclose(model.predict(inputs(), 1), value, rtol=1e-5, atol=1e-5)
        (tmp_path / str(number)).mkdir()
        model.save(tmp_path / str(number))
        other = made(name)
        other.load(tmp_path / str(number))
        assert np.array_equal(other.predict(inputs(), 1), model.predict(inputs(), 1))
    one_class = np.tile([0.0, 1.0, 0.0], (400, 1))
    predicted = fitted(name, "multiclass", one_class, objective="multiclass").predict(inputs(), 1)
    np.testing.assert_allclose(predicted, one_class, atol=1e-5)


@tree_libraries.each()
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rounds": 0}, "rounds must be at least 1, but is 0"),
        ({"learning_rate": 0.0}, "learning_rate must be finite and above 0, but is 0.0"),
        ({"subsample": 0.0}, r"subsample must be in \(0, 1\], but is 0.0"),
        ({"objective": "quantile"}, "needs alpha, its level"),
        ({"alpha": 0.5}, "alpha is used by the objectives"),
        ({"objective": "tweedie", "tweedie_variance_power": 1.0}, "above 1 and below 2, but is 1.0"),
        ({"balanced": True}, "for the objectives 'binary' and 'multiclass', but objective is 'l1'"),
    ],
)
def test_impossible_tables_are_refused(name: str, table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(name, **{"objective": "l1", **table})


@tree_libraries.each()
def test_a_key_depends_on_its_own_files_only(name: str) -> None:
    own = [f"{name}.py", f"{name}_config.py"]
    shared = ["boosting.py", "boosting_config.py"]
    assert [path.name for path in models.source_of(name, {})] == [*shared, *own]
