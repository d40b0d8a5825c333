"""Boosting on one fold: early stopping by whole series of its training part, and by nothing where that is off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lab import INSIDE, TRAIN, small_store

from foldline.core.errors import UserError
from foldline.data import metrics
from foldline.data.metrics import METRICS, Metric
from foldline.data.store import Store, StoredTask
from foldline.fit import boosting_checks
from foldline.fit.boosting_cell import BoostingCell, labelled, settings
from foldline.fit.labelled_series import labelled_series
from foldline.fit.train_config import WatchConfig
from foldline.fit.watched_split import inner_split
from foldline.models.ops import boosting
from foldline.models.systems.lightgbm import LightGBM

PARAMS = {"rounds": 30, "min_data_in_leaf": 2, "num_leaves": 3}
STOP = WatchConfig(share=0.4, stop=2)


def fitted(watch: WatchConfig, data: Store | None = None) -> tuple[BoostingCell, dict[str, Any]]:
    """A cell, and its row of the history."""
    cell, epoch = BoostingCell("lightgbm", PARAMS, replace(TRAIN, watch=watch), METRICS["mae"]), dict[str, Any]()
    cell.fit(data or small_store(), INSIDE, 0, lambda kind, **row: epoch.update(row) if kind == "epoch" else None)
    return cell, epoch


@pytest.mark.learned
def test_stopping_watches_rows_of_whole_series_that_are_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    data, calls = small_store(), list[tuple[np.ndarray, np.ndarray]]()
    honest = LightGBM.fit

    def spy(self: Any, x: np.ndarray, y: np.ndarray, *more: Any, watched: Any, **named: Any) -> None:
        calls.append((x, watched.x))
        honest(self, x, y, *more, watched=watched, **named)

    monkeypatch.setattr(LightGBM, "fit", spy)
    cell, epoch = fitted(STOP, data)
    ((kept, watched),) = calls
    of = [{row.tobytes() for row in labelled(labelled_series(data, np.array([each])))[0]} for each in INSIDE]
    sides = [{row.tobytes() for row in side} for side in (kept, watched)]
    for mine in of:  # a series is on one side, whole
        assert [mine <= side for side in sides].count(True) == [bool(mine & side) for side in sides].count(True) == 1
    assert sides[0] and sides[1] and sum(map(len, sides)) == sum(map(len, of))
    assert all(booster.num_trees() < 30 for booster in cell.model.boosters) and epoch["watched"] > 0


def test_what_stops_trees_is_the_competitions_metric_whatever_they_are_trained_by() -> None:
    """A metric whose values are given: of 2 targets the first is best after 3 rounds, the second after 2."""
    scores = iter([5.0, 4.0, 3.0, 3.5, 3.0, 5.0, 4.0, 6.0, 4.0, 0.25])
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def loss(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        seen.append((truth, predicted))
        return np.zeros_like(truth)

    metric = Metric(loss, lambda mean: next(scores), "l1")
    cell, epoch = BoostingCell("lightgbm", PARAMS, replace(TRAIN, watch=STOP), metric), dict[str, Any]()
    cell.fit(small_store(), INSIDE, 0, lambda kind, **row: epoch.update(row) if kind == "epoch" else None)
    assert [booster.best_iteration for booster in cell.model.boosters] == [3, 2] and next(scores, None) is None
    assert epoch["watched"] == 0.25  # of all targets, by the trees that are kept
    both = seen[-1][0]
    assert both.dtype == np.float64 and [truth.shape for truth, _ in seen] == [(len(both), 1)] * 9 + [both.shape]
    for number, (truth, predicted) in enumerate(seen[:9]):
        assert np.array_equal(truth[:, 0], both[:, 0 if number < 5 else 1]) and predicted.shape == truth.shape


@pytest.mark.parametrize("name", metrics.names_for("regression"))
def test_the_watched_score_of_trees_is_the_metric_in_its_own_unit(name: str) -> None:
    data = small_store()
    cell, epoch = BoostingCell("lightgbm", PARAMS, replace(TRAIN, watch=STOP), METRICS[name]), dict[str, Any]()
    cell.fit(data, INSIDE, 0, lambda kind, **row: epoch.update(row) if kind == "epoch" else None)
    _, (held,) = inner_split([labelled_series(data, INSIDE)], STOP.share, 0)
    scored = held.weight > 0
    expected = METRICS[name](held.y[scored], cell.predict(data, held.series)[0][scored])
    assert epoch["watched"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_watched_cross_entropies_count_rows_by_their_weight(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data, seen, honest = small_store(series=20), list[tuple[Any, Any]](), boosting.cross_entropy
    y = np.abs(data.y) / np.abs(data.y).sum(axis=1, keepdims=True)
    weight = np.linspace(0.1, 9.0, len(y)) if weighted else None
    data = replace(data, y=y, task=StoredTask(kind="distribution"), weight=weight)

    def spy(truth: np.ndarray, predicted: np.ndarray, of_rows: np.ndarray | None) -> float:
        seen.append((of_rows, honest(truth, predicted, of_rows)))
        p = np.log(predicted), np.log1p(-predicted)
        each = -(truth * p[0] + (1 - truth) * p[1])[:, 0]
        assert seen[-1][1] == pytest.approx(float(each.mean() if of_rows is None else each @ of_rows / of_rows.sum()))
        return seen[-1][1]

    monkeypatch.setattr(boosting, "cross_entropy", spy)
    cell = BoostingCell("lightgbm", {**PARAMS, "objective": "cross_entropy"}, replace(TRAIN, watch=STOP), METRICS["kl"])
    cell.fit(data, np.arange(20), 0, lambda kind, **row: None)
    _, (held,) = inner_split([labelled_series(data, np.arange(20))], STOP.share, 0)
    own = data.weight[held.store.answers(held.series)][held.weight > 0] if weighted else None
    for of_rows, _ in seen:
        if own is None:
            assert of_rows is None
        else:
            np.testing.assert_allclose(of_rows / of_rows.sum(), own / own.sum(), rtol=1e-6)
    assert seen


@pytest.mark.parametrize("watch", [WatchConfig(), WatchConfig(share=0.4)])
def test_without_stop_or_best_every_series_is_trained_on_for_all_rounds(watch: WatchConfig) -> None:
    cell, epoch = fitted(watch)
    plain, _ = fitted(WatchConfig())
    assert all(booster.num_trees() == 30 for booster in cell.model.boosters) and "watched" not in epoch
    np.testing.assert_array_equal(cell.predict(small_store(), INSIDE)[0], plain.predict(small_store(), INSIDE)[0])


def test_a_key_holds_what_stops_trees_and_nothing_of_the_networks() -> None:
    plain, networks = replace(TRAIN, threads=2), WatchConfig(share=0.1, patience=4)  # of a schedule
    assert settings(plain) == settings(replace(plain, lr=0.5, watch=networks)) == {"threads": 2}
    assert settings(replace(plain, watch=STOP)) == {"threads": 2, "watch": {"share": 0.4, "stop": 2}}
    assert settings(replace(plain, watch=WatchConfig(share=0.4, best=True))) != settings(replace(plain, watch=STOP))


@pytest.mark.learned
def test_an_error_of_lightgbm_itself_is_one_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    import lightgbm

    def refuse(*_: object, **__: object) -> None:
        raise lightgbm.basic.LightGBMError("Check failed: something at file.cpp, line 1 .\n")

    monkeypatch.setattr(LightGBM, "fit", refuse)
    with pytest.raises(UserError, match=r"model lightgbm: LightGBM refuses .*Check failed: something"):
        fitted(WatchConfig())


def test_a_bag_without_rows_is_refused() -> None:
    params = {"objective": "l1", "bagging_fraction": 0.01}
    with pytest.raises(UserError, match=r"bagging_fraction = 0\.01 must leave at least one row .* there are 99 scored"):
        boosting_checks.check("trees", params, np.ones((99, 1)), ("speed",), "outside fold 0")
    boosting_checks.check("trees", params, np.ones((100, 1)), ("speed",), "outside fold 0")


def test_static_codes_and_places_are_categories_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of more than two values, behind all other inputs; and features place(x)."""
    seen: list[tuple[np.ndarray, Any]] = []
    honest = LightGBM.fit

    def spy(self: Any, x: np.ndarray, *more: Any, categorical: Any, **named: Any) -> None:
        seen.append((x, categorical))
        honest(self, x, *more, categorical=categorical, **named)

    monkeypatch.setattr(LightGBM, "fit", spy)
    static = np.stack([np.arange(10) % 2, np.arange(10) % 4], axis=1)
    data = replace(small_store(), static=static, levels=(2, 4), names=("f0", "place(f1)", "f2"))
    for categories in (True, False):
        cell = BoostingCell("lightgbm", PARAMS | {"categories": categories}, TRAIN)
        cell.fit(data, INSIDE, 0, lambda *_, **__: None)
        assert len(cell.predict(data, INSIDE)[0]) == data.lengths[INSIDE].sum()
    (x, codes), (plain, none) = seen
    assert list(codes) == [1, 3] and list(none) == []
    assert np.array_equal(x[:, :3], plain) and set(x[:, 3]) == {0, 1, 3}
