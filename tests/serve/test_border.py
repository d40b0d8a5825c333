"""The border of a predictor: what may differ from training and changes nothing, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
from tiny_classes import Songs

from foldline.core.errors import UserError
from foldline.experiment.serve_config import ServeConfig
from foldline.serve import Predictor, border, load
from foldline.serve.answers import Answers

Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture(scope="module")
def rides(trained_once: Path) -> Predictor:
    """The trained rides; nobody writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOLDLINE_HOME", str(trained_once / "home"))
        return load("rides")


def ride(number: int = 501) -> pl.DataFrame:
    """One ride of the test table."""
    return tiny.frames()["test"].filter(pl.col("ride") == number)


SAME: dict[str, Change] = {
    "numbers as text": lambda rows: rows.with_columns(pl.col("power", "second").cast(pl.String)),
    "text with spaces": lambda rows: rows.with_columns(" " + pl.col("power").cast(pl.String) + " "),
    "floats for whole numbers": lambda rows: rows.with_columns(pl.col("coasting", "bike", "ride").cast(pl.Float64)),
    "flags for whole numbers": lambda rows: rows.with_columns(pl.col("coasting") == 1),
    "a category as text": lambda rows: rows.with_columns(pl.col("bike").cast(pl.String)),
    "a category as a float in text": lambda rows: rows.with_columns(pl.col("bike").cast(pl.Float64).cast(pl.String)),
    "categories of polars": lambda rows: rows.with_columns(pl.col("bike").cast(pl.String).cast(pl.Categorical)),
    "small integers": lambda rows: rows.with_columns(pl.col("bike", "coasting").cast(pl.Int8)),
    "decimals": lambda rows: rows.with_columns(pl.col("second").cast(pl.Decimal(10, 2))),
    "more columns": lambda rows: rows.with_columns(weather=pl.lit("rain"), speed=pl.lit(1.0), list=[1, 2]),
    "columns in another order": lambda rows: rows.select(reversed(rows.columns)),
    "no id": lambda rows: rows.drop("row"),
    "no key": lambda rows: rows.drop("ride"),
    "rows backwards": lambda rows: rows.reverse(),
    "lazy": lambda rows: rows.lazy().collect(),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME.keys())
def test_what_differs_in_form_only_changes_nothing(change: Change, rides: Predictor) -> None:
    expected = rides.predict(ride())["speed"]
    changed = change(ride())
    found = rides.predict(changed)["speed"]
    backwards = changed["second"].cast(pl.Float64)[0] > 0
    assert found.equals(expected.reverse() if backwards else expected)


MISSING: dict[str, Change] = {
    "a column that did not come": lambda rows: rows.drop("power"),
    "a column of nulls": lambda rows: rows.with_columns(power=pl.lit(None)),
    "a column of nulls that is text": lambda rows: rows.with_columns(power=pl.lit(None, dtype=pl.String)),
    "a column of NaN": lambda rows: rows.with_columns(power=pl.lit(float("nan"))),
    "a column of empty text": lambda rows: rows.with_columns(power=pl.lit("")),
}


@pytest.mark.parametrize("change", MISSING.values(), ids=MISSING.keys())
def test_a_missing_column_is_missing_values_in_any_form(change: Change, rides: Predictor) -> None:
    expected = rides.predict(ride().with_columns(power=pl.lit(None, dtype=pl.Float64)))["speed"]
    found = rides.predict(change(ride()))["speed"]
    assert found.equals(expected) and found.is_finite().all()
    assert not found.equals(rides.predict(ride())["speed"])


@pytest.mark.parametrize("bike", [99, 28.5, "a tandem", None, float("nan"), ""])
def test_a_category_that_training_never_saw_is_the_unknown_one(bike: object, rides: Predictor) -> None:
    unknown = rides.predict(ride().with_columns(bike=pl.lit(98)))["speed"]
    assert rides.predict(ride().with_columns(bike=pl.lit(bike)))["speed"].equals(unknown)
    assert not rides.predict(ride())["speed"].equals(unknown)


@pytest.mark.parametrize("steps", [1, 2, 9, 35])
def test_series_may_have_any_length(steps: int, rides: Predictor) -> None:
    rows = tiny.frames(test_series=1, steps=steps)["test"]
    answers = rides.predict(rows)
    assert answers.height == steps and answers["speed"].is_finite().all()


def test_rows_that_no_score_counts_get_answers_too(rides: Predictor) -> None:
    answers = rides.predict(ride().with_columns(coasting=1))
    assert answers["speed"].is_finite().all() and answers.height == ride().height


REFUSED: dict[str, tuple[Change, str]] = {
    "text for a number": (lambda rows: rows.with_columns(power=pl.lit("much")), "'power' must hold numbers.*'much'"),
    "infinity": (lambda rows: rows.with_columns(power=pl.lit(float("inf"))), "finite numbers in 'power'"),
    "no time": (lambda rows: rows.drop("second"), "must have the column 'second'"),
    "a row without time": (
        lambda rows: rows.with_columns(second=pl.when(pl.col("second") > 1).then("second")),
        "must all have a value in 'second', but 3 of 10",
    ),
    "a row without key": (lambda rows: rows.with_columns(ride=pl.lit(None)), "'ride' must name the series"),
    "one time twice": (lambda rows: rows.with_columns(second=pl.lit(1.0)), "'second' must increase"),
    "two bikes": (
        lambda rows: rows.with_columns(bike=pl.when(pl.col("second") > 1).then(20).otherwise(28)),
        "'bike' is static",
    ),
    "dates for numbers": (
        lambda rows: rows.with_columns(second=pl.datetime(2026, 1, 1) + pl.duration(hours=2 * pl.col("second"))),
        "'second' must be of the kind that it was in training, numbers, but holds dates",
    ),
    "lists": (lambda rows: rows.with_columns(power=[1.0, 2.0]), "must hold numbers, but holds List"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_would_have_to_be_guessed_is_refused(change: Change, message: str, rides: Predictor) -> None:
    with pytest.raises(UserError, match=message):
        rides.predict(change(ride()))


def test_something_else_than_a_frame_is_refused(rides: Predictor) -> None:
    with pytest.raises(UserError, match="must be a frame of polars or pandas, or a dict of columns, but is str"):
        rides.predict("rides.csv")


def test_frames_of_pandas_and_dicts_are_frames(rides: Predictor) -> None:
    pytest.importorskip("pandas")
    expected = rides.predict(ride())
    assert rides.predict(ride().to_pandas()).equals(expected)
    assert rides.predict(ride().to_dict(as_series=False)).equals(expected)


def test_static_columns_come_from_a_frame_of_their_own(rides: Predictor) -> None:
    rows, expected = tiny.frames()["test"], rides.predict(tiny.frames()["test"])
    of_each = rows.select("ride", "bike").unique().with_columns(pl.col("ride").cast(pl.Float64), age=pl.lit(3))
    assert rides.predict(rows.drop("bike"), of_each).equals(expected)
    assert rides.predict(ride().drop("bike"), ride().select("bike")[:1]).equals(rides.predict(ride()))
    with pytest.raises(UserError, match=r"must have a column in common.*or one row, but has 4 rows"):
        rides.predict(rows.drop("bike"), of_each.select("bike"))


def test_static_columns_with_a_time_of_their_own_are_refused(rides: Predictor) -> None:
    """What was tracked before has other moments than the rows: a join by both would find nothing, or the wrong row."""
    before = ride().select("ride", "second", "power")
    with pytest.raises(UserError, match=r"constants of series, but have 'second' \(data.order\).*: power would be"):
        rides.predict(ride().drop("power"), before)
    expected = rides.predict(ride())
    assert rides.predict(ride(), before).equals(expected)  # nothing of it is needed
    called = Answers(rides, ServeConfig(per="series", arguments=("rows", "lags")))
    assert called(ride().drop("power"), before)["speed"].equals(expected["speed"])
    with pytest.raises(UserError, match='call them "lags" if that is meant'):
        Answers(rides, ServeConfig(per="series", arguments=("rows", "static")))(ride().drop("power"), before)


def test_of_several_rows_the_last_one_counts_and_an_empty_frame_says_nothing() -> None:
    rows = pl.DataFrame({"day": [1, 2, 3]})
    beside = pl.DataFrame({"day": ["1", "1", "3"], "lag": [0.1, 0.2, 0.3], "other": [1, 2, 3]})
    assert border.with_columns_of(rows, beside, ["day", "lag"], "Lags").to_dict(as_series=False) == {
        "day": [1, 2, 3],
        "lag": [0.2, None, 0.3],
    }
    assert border.with_columns_of(rows, beside.clear(), ["day", "lag"], "Lags") is rows


def test_dates_are_an_order_in_any_form(home: Path, tmp_path: Path) -> None:
    songs = Songs("regression", "step")
    tables = {
        stem: table.with_columns(second=pl.datetime(2026, 1, 1) + pl.duration(milliseconds=1000 * pl.col("second")))
        if "second" in table.columns
        else table
        for stem, table in songs.frames().items()
    }
    tiny.write(tmp_path / "songs", tables)
    tiny.configure(home, "songs", songs.config(tmp_path / "songs"))
    tiny.run("train", "songs")
    predictor = load("songs")
    expected = pl.read_csv(home / "runs" / "songs" / "latest" / "submission.csv")["answer"]
    for form in (
        pl.col("second"),
        pl.col("second").dt.strftime("%Y-%m-%d %H:%M:%S%.f"),
        pl.col("second").dt.cast_time_unit("ns"),
    ):
        found = predictor.predict(tables["test"].with_columns(form))["answer"]
        np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(UserError, match="in training, dates or times, but holds numbers"):
        predictor.predict(tables["test"].with_columns(pl.col("second").dt.epoch("s")))
