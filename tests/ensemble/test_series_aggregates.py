"""Level 2: trees on statistics of series beside out-of-fold predictions, and that no fold's targets reach its rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import blends
import numpy as np
import polars as pl
import pytest
import tiny
from lab import small_store
from refusals import refused, said

from foldline.core.errors import UserError
from foldline.data.metrics import METRICS
from foldline.ensemble import Blend, BlendConfig, BlendRows, applicability, fit, nested, series_aggregates
from foldline.serve import load

LEVEL_2 = BlendConfig(method="lightgbm", aggregates=("f0",), rounds=60)
WORDS = ["blend.method=lightgbm", 'blend.aggregates=["power"]', "blend.rounds=3"]


def test_statistics_are_those_of_a_series_alone_whatever_lies_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    store = small_store()
    store.x[3, 1] = np.nan  # of the third series, which has three steps
    store.x[store.rows(np.array([1])), 1] = np.nan  # all of the second
    found = series_aggregates.of_answers(store, ("f2", "f1"))
    assert found is not None and found.dtype == np.float32 and found.shape == (len(store.series_of_answer), 9)
    for series in range(len(store.lengths)):
        own = store.x[store.rows(np.array([series]))].astype(np.float64)
        expected = [len(own)]
        for values in (own[:, 2], own[:, 1]):
            values = values[~np.isnan(values)]
            expected += [values.mean(), values.std(), values.min(), values.max()] if len(values) else [np.nan] * 4
        of_series = found[store.series_of_answer == series]
        np.testing.assert_allclose(of_series, np.tile(np.float32(expected), (len(of_series), 1)), rtol=1e-5)
    monkeypatch.setattr(series_aggregates, "ROWS_AT_ONCE", 4)
    np.testing.assert_array_equal(series_aggregates.of_answers(store, ("f2", "f1")), found)
    chosen = np.arange(len(found)) % 3 == 0
    np.testing.assert_array_equal(series_aggregates.of_answers(store, ("f2", "f1"), chosen), found[chosen])
    assert series_aggregates.of_answers(store, ()) is None
    with pytest.raises(UserError, match=r"blend\.aggregates.*'f7'"):
        series_aggregates.of_answers(store, ("f7",))


def rows(members: int = 2, seed: int = 0) -> BlendRows:
    """Members are off by 1/2, up where a series' aggregate is above 0, else down."""
    made = blends.noisy(members, 400, seed=seed)
    aggregate = np.random.default_rng(seed).normal(size=len(np.unique(made.series)))[made.series]
    off = np.where(aggregate > 0, 0.5, -0.5)[:, None]
    predictions = 0.9 * made.y + off + 0.1 * made.predictions
    return replace(made, predictions=predictions, aggregates=aggregate[:, None].astype(np.float32))


@pytest.mark.parametrize("members", [1, 2])
def test_what_members_miss_of_a_series_is_learned_from_its_statistics(members: int) -> None:
    made = rows(members)
    with_them, without = (nested(LEVEL_2, each).values for each in (made, replace(made, aggregates=None)))
    assert np.abs(with_them - made.y).mean() < 0.5 * np.abs(without - made.y).mean()
    fitted = fit(LEVEL_2, made)
    again = Blend.from_json(json.loads(json.dumps(fitted.to_json())))
    assert again == fitted and again.aggregates == ("f0",)
    np.testing.assert_array_equal(
        again.apply(made.predictions, None, made.aggregates), fitted.apply(made.predictions, None, made.aggregates)
    )


def test_a_folds_own_targets_never_reach_its_rows() -> None:
    made = rows()
    before = nested(LEVEL_2, made).values
    for number in (0, 3):
        inside = made.fold == number
        changed = replace(made, y=np.where(inside[:, None], -5.0 * made.y, made.y))
        after = nested(LEVEL_2, changed).values
        assert np.array_equal(after[inside], before[inside]) and (after[~inside] != before[~inside]).any()


def test_targets_of_noise_score_no_better_than_their_middle_though_series_can_be_told_apart(
    home: Path, rides: Path
) -> None:
    """The probe of a leak: trees that know each ride by its statistics, on members that know theirs by heart.

    A member that a level 2 saw on series it was fitted on would give the noise away.
    """
    tables = tiny.frames(train_series=24)
    noise = np.random.default_rng(0).normal(size=24).repeat(10)  # one number a ride
    tiny.write(rides, {**tables, "train": tables["train"].with_columns(speed=pl.Series(noise))})
    keen = "model=[{name = 'lightgbm', rounds = 60, min_data_in_leaf = 1, num_leaves = 31, objective = 'l2'}]"
    tiny.run("train", "rides", keen, *WORDS, "blend.rounds=60", "data.metric=rmse", "features.families=['raw', 'time']")
    stored = json.loads((home / "runs" / "rides" / "latest" / "experiment.json").read_text())
    scores = {name: values[-1] for name, values in stored["scores"]}
    middle = min(values[-1] for _, values in stored["baselines"])
    assert scores["blend (LightGBM stack)"] > 0.9 * middle, (scores, middle)


def test_it_is_inferred_and_served_with_the_same_answers(home: Path, rides: Path) -> None:
    tree = "name = 'lightgbm', min_data_in_leaf = 2"
    tiny.run("train", "rides", f"model=[{{{tree}, rounds = 5}}, {{{tree}, rounds = 2}}]", *WORDS)
    before = tiny.submission(home)
    tiny.run("infer", "rides")
    (written,) = (home / "runs" / "rides" / "latest").glob("infer-*.csv")
    assert written.read_bytes() == before
    predictor, test = load("rides"), tiny.frames()["test"]
    whole = predictor.predict(test)
    np.testing.assert_array_equal(whole["speed"], pl.read_csv(written)["speed"])
    alone = pl.concat(map(predictor.predict, test.partition_by("ride", maintain_order=True)))
    np.testing.assert_array_equal(alone["speed"], whole["speed"])
    with pytest.raises(UserError, match=r"statistics of whole series, which a stack sees \(blend\.aggregates\)"):
        predictor.stream()


def test_a_feature_that_does_not_exist_and_methods_that_see_none_are_refused(
    home: Path, rides: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = refused(["train", "rides", WORDS[0], 'blend.aggregates=["powr"]'], home, capsys)
    assert "blend.aggregates: unknown feature 'powr'. Did you mean 'power'?" in unknown
    for method in ("hill-climb", "mean"):
        other = said(capsys, "train", "rides", f"blend.method={method}", WORDS[1])
        assert "are seen by the trees of blend.method = 'lightgbm' alone, which are for numbers" in other
        assert f"but the method is {method!r}" in other
    config = BlendConfig(method="auto", candidates=("mean", "ridge"), aggregates=("power",))
    with pytest.raises(UserError, match=r"'auto' with it among blend\.candidates"):
        applicability.check(config, METRICS["mae"], "regression", 1)
    applicability.check(replace(config, candidates=("mean", "lightgbm")), METRICS["mae"], "regression", 1)
