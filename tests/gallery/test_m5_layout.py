"""M5's files against the published rules: the competitors' guide on items, days, prices and halves of the sample."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers.gallery_files import changed, metric_of

pytestmark = pytest.mark.gallery

NAMES = ["item_id", "dept_id", "cat_id", "store_id", "state_id"]
STORES = {f"{state}_{number}" for state, count in (("CA", 4), ("TX", 3), ("WI", 3)) for number in range(1, count + 1)}
DEPARTMENTS = {"HOBBIES_1", "HOBBIES_2", "HOUSEHOLD_1", "HOUSEHOLD_2", "FOODS_1", "FOODS_2", "FOODS_3"}
EVENTS = ["event_name_1", "event_type_1", "event_name_2", "event_type_2"]
CALENDAR = ["date", "wm_yr_wk", "weekday", "wday", "month", "year", "d", *EVENTS, "snap_CA", "snap_TX", "snap_WI"]


def check(folder: Path) -> None:
    """Refuse files that the competition would not have."""
    sales = pl.read_csv(folder / "sales_train_validation.csv")
    assert sales.columns == ["id", *NAMES, *(f"d_{day}" for day in range(1, 1914))]
    for row_id, item, dept, cat, store, state in sales.select("id", *NAMES).rows():
        assert row_id == f"{item}_{store}_validation" and re.fullmatch(rf"{dept}_\d{{3}}", item)
        assert dept in DEPARTMENTS and cat == dept.split("_")[0] and store in STORES and state == store[:2]
    assert sales["id"].is_unique().all()
    units = sales.select(pl.selectors.matches("^d_")).to_numpy()
    assert np.issubdtype(units.dtype, np.integer) and units.min() >= 0
    days = pl.read_csv(folder / "calendar.csv")
    assert days.columns == CALENDAR and same(days["d"], [f"d_{day}" for day in range(1, 1970)])
    dates = [date(2011, 1, 29) + timedelta(number) for number in range(1969)]
    assert same(days["date"], list(map(str, dates))) and str(dates[-1]) == "2016-06-19"
    assert same(days["weekday"], [day.strftime("%A") for day in dates])
    assert same(days["wday"], [(day.weekday() + 2) % 7 + 1 for day in dates])
    assert same(days["month"], [day.month for day in dates]) and same(days["year"], [day.year for day in dates])
    weeks = days["wm_yr_wk"].to_numpy()
    assert (
        weeks[0] == 11101 and weeks[-1] == 11621 and ((np.diff(weeks) > 0) == (days["wday"][1:] == 1).to_numpy()).all()
    )
    for state in ("CA", "TX", "WI"):
        paid = days.group_by("year", "month").agg(pl.col(f"snap_{state}").sum(), pl.len()).filter(pl.col("len") > 27)
        assert (paid[f"snap_{state}"] == 10).all(), "ten days of a month"
    types = set(days["event_type_1"].drop_nulls())
    assert types <= {"Cultural", "National", "Religious", "Sporting"}
    assert (days["event_name_1"].is_null() == days["event_type_1"].is_null()).all()
    prices = pl.read_csv(folder / "sell_prices.csv")
    assert prices.columns == ["store_id", "item_id", "wm_yr_wk", "sell_price"] and (prices["sell_price"] > 0).all()
    assert prices.select("store_id", "item_id", "wm_yr_wk").is_unique().all()
    spans = prices.group_by("store_id", "item_id").agg(pl.col("wm_yr_wk").max())
    assert (spans["wm_yr_wk"] == 11621).all() and len(spans) == len(sales), "prices up to the last day asked for"
    sample = pl.read_csv(folder / "sample_submission.csv")
    assert sample.columns == ["id", *(f"F{day}" for day in range(1, 29))]
    evaluation = [row_id.replace("_validation", "_evaluation") for row_id in sales["id"]]
    assert same(sample["id"], [*sales["id"], *evaluation])


def same(found: pl.Series, wanted: Sequence[object]) -> bool:
    """Compare outside of an assert, whose explanation by a diff takes minutes where thousands of values differ."""
    return found.to_list() == list(wanted)


def test_the_files_are_those_of_the_competition(files: Path) -> None:
    check(files)


def test_it_has_the_traps(folder: Path) -> None:
    sales = pl.read_csv(folder / "sales_train_validation.csv")
    days, prices = pl.read_csv(folder / "calendar.csv"), pl.read_csv(folder / "sell_prices.csv")
    begins = prices.group_by("store_id", "item_id").agg(pl.col("wm_yr_wk").min())
    assert (begins["wm_yr_wk"] > 11101).any() and (begins["wm_yr_wk"] == 11101).any(), "items that are sold later"
    christmas = [day for day in days.filter(pl.col("event_name_1") == "Christmas")["d"] if day in sales.columns]
    assert not sales.select(christmas).sum().to_numpy().any(), "closed"
    assert prices.group_by("store_id", "item_id").agg(pl.col("sell_price").n_unique())["sell_price"].min() > 1  # type: ignore[operator]
    late = begins.filter(pl.col("wm_yr_wk") > 11101).row(0, named=True)
    first = days.filter(pl.col("wm_yr_wk") < late["wm_yr_wk"])["d"].to_list()
    row = sales.filter((pl.col("item_id") == late["item_id"]) & (pl.col("store_id") == late["store_id"]))
    assert not row.select(first).to_numpy().any(), "zeros before it is sold"


def test_the_checker_finds_what_is_wrong(folder: Path) -> None:
    for name, change in (
        ("sales_train_validation.csv", pl.col("id").str.replace("_validation", "_evaluation")),
        ("sales_train_validation.csv", pl.col("d_7") - 1000),
        ("sales_train_validation.csv", pl.lit("CA").alias("state_id")),
        ("calendar.csv", pl.col("wday") % 7 + 1),
        ("calendar.csv", pl.col("wm_yr_wk") + 1),
        ("calendar.csv", pl.col("snap_TX") * 0),
        ("sell_prices.csv", pl.col("sell_price") - 100),
        ("sell_prices.csv", pl.col("wm_yr_wk") - 1),
        ("sample_submission.csv", pl.col("id").reverse()),
    ):
        with changed(folder / name, change), pytest.raises(AssertionError):
            check(folder)


def test_the_metric_is_that_of_the_guide_by_hand() -> None:
    """Two items of one store and two days: eleven levels, by the slow definition."""
    pandas = pytest.importorskip("pandas")
    truth, prediction = np.array([[3.0, 5.0], [2.0, 0.0]]), np.array([[1.0, 4.0], [2.0, 2.0]])  # items x days
    dollars, items = np.array([30.0, 10.0]), np.array([0, 1])
    scales = {"together": 4.0, "apart": np.array([2.0, 1.0])}
    rows = {"sales": truth.ravel(), "day": np.tile([7, 8], 2), "dollars": np.repeat(dollars, 2)}
    wanted = 0.0
    for level in range(1, 13):
        apart = level >= 10
        groups = items if apart else np.zeros(2, int)
        scale = scales["apart"] if apart else np.full(2, scales["together"])
        rows |= {f"of{level}": np.repeat(groups, 2), f"scale{level}": np.repeat(scale, 2)}
        for group in np.unique(groups):
            inside = groups == group
            error = (truth - prediction)[inside].sum(axis=0)
            wanted += dollars[inside].sum() / 40.0 * np.sqrt((error**2).mean() / scale[inside][0]) / 12
    solution = pandas.DataFrame(rows)
    submission = pandas.DataFrame({"sales": prediction.ravel()})
    score = metric_of("m5")
    assert score(solution, submission, "id") == pytest.approx(wanted, rel=1e-12)
    assert score(solution, solution, "id") == 0.0
