"""What `init` says of a forecast: test goes on where the series of train end, however the rows are sorted."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest
import tiny
from tiny_forecast import HORIZON, shops

from foldline.data import inspected_forecast
from foldline.data.inspection import Findings, inspect


def found(tables: dict[str, pl.DataFrame]) -> Findings:
    return inspect(tables["train"], tables["test"], tables["sample_submission"])


@pytest.mark.parametrize("by", ["shop", "day"])
@pytest.mark.parametrize("dates", [True, False])
def test_a_series_of_both_tables_that_goes_on_is_a_forecast(by: str, dates: bool) -> None:
    tables = shops(dates=dates)
    tables = {
        name: table.sort(by, maintain_order=True) if by in table.columns else table for name, table in tables.items()
    }
    seen = found(tables)
    assert (seen.key, seen.order, seen.id, seen.target) == ("shop", "day", "row", ["sales"])
    assert seen.inputs == ["promo"] and seen.static == ["town"] and seen.forecast is not None
    first = seen.forecast
    assert (first.horizon, first.season, first.complete) == (HORIZON, 7 if dates else 0, True)
    assert first.gap == 0 and first.history == 15 - HORIZON and first.windows == 1  # the usual series has 15 rows
    assert "6 of 6 test series go on behind" in seen.evidence["forecast"] and "history = 11" in " ".join(seen.unclear)


def test_other_series_and_those_that_do_not_go_on_are_none() -> None:
    assert found(dict(tiny.frames())).forecast is None
    tables = shops()
    tables["test"] = tables["test"].with_columns(pl.col("day") - timedelta(days=2))
    assert found(tables).forecast is None
    tables = shops()
    tables["test"] = tables["test"].with_columns(shop=pl.format("other {}", "shop"))
    assert found(tables).forecast is None


def test_a_gap_between_the_tables_is_seen() -> None:
    tables = shops()
    tables["test"] = tables["test"].with_columns(pl.col("day") + timedelta(days=2))
    first = found(tables).forecast
    assert first is not None and (first.gap, first.history) == (2, 15 - HORIZON - 2)


def test_new_series_in_test_take_no_scale_of_their_own() -> None:
    tables = shops()
    tables["test"] = tables["test"].with_columns(shop=pl.col("shop").replace("n5", "new"))
    first = found(tables).forecast
    assert first is not None and not first.complete and first.evidence.startswith("5 of 6")


def test_one_known_row_has_no_scale() -> None:
    tables = shops()
    tables["train"] = tables["train"].group_by("shop", maintain_order=True).tail(4)
    first = found(tables).forecast
    assert first is not None and first.history == 1 and not first.complete


@pytest.mark.parametrize(("step", "season"), [("1h", 24), ("1d", 7), ("7d", 52), ("1mo", 12), ("3mo", 4), ("1y", 0)])
def test_the_time_from_row_to_row_says_the_season(step: str, season: int) -> None:
    days = pl.datetime_range(datetime(2020, 1, 1), datetime(2050, 1, 1), step, eager=True).head(20)
    table = pl.DataFrame({"shop": ["a"] * 20 + ["b"] * 20, "day": [*days, *days]})
    train, test = (
        table.filter(pl.int_range(pl.len()).over("shop") < 15),
        table.filter(pl.int_range(pl.len()).over("shop") >= 15),
    )
    seen = inspected_forecast.of(train, test, "shop", "day")
    assert seen is not None and seen.season == season and seen.horizon == 5


def test_rows_in_no_order_are_none_although_their_numbers_go_on_in_test() -> None:
    tables = dict(tiny.frames())  # rows 1000 and on in train, 501000 and on in test
    shuffled = {name: table.sample(fraction=1, shuffle=True, seed=0) for name, table in tables.items()}
    seen = found(shuffled)
    assert seen.forecast is None and not seen.key
    assert "sort them first" in " ".join(seen.unclear)
    assert found(tables).key == "ride"
