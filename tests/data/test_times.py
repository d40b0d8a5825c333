"""Dates and times as the order of a series."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal

import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.data import assemble, loading, time_spans, times
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.roles import DataConfig
from foldline.features.family import MOMENT

DATA = DataConfig(id="row", key="ride", order="when", inputs=("power",), target=("speed",))
DAYS = [date(2020, 2, 28), date(2020, 2, 29), date(2020, 3, 1)]


def order(when: pl.Series | list[str], folder: Path, csv: bool) -> list[float]:
    """The order column as a training table has it: two series of three steps."""
    frame = pl.DataFrame({"row": range(6), "ride": [1, 1, 1, 2, 2, 2], "when": when}).with_columns(power=1.0, speed=1.0)
    path = folder / ("train.csv" if csv else "train.parquet")
    frame.write_csv(path) if csv else frame.write_parquet(path)
    return loading.load_table(path, DATA, labelled=True).frame["when"].to_list()


@pytest.mark.parametrize("csv", [True, False])
def test_dates_become_seconds_since_the_start_of_their_series(csv: bool, tmp_path: Path) -> None:
    shifted = [day + timedelta(days=400) for day in DAYS]
    assert order(pl.Series([*DAYS, *shifted]), tmp_path, csv) == [0, 86400, 172800] * 2


@pytest.mark.parametrize(
    "texts",
    [
        ["2020-10-25 02:30:00+02:00", "2020-10-25 02:30:00+01:00", "2020-10-25 02:30:00.250+01:00"],
        ["2020-10-25T00:30:00Z", "2020-10-25T01:30:00Z", "2020-10-25T01:30:00.250Z"],
    ],
)
@pytest.mark.parametrize("csv", [True, False])
def test_zones_are_moments(texts: list[str], csv: bool, tmp_path: Path) -> None:
    assert order(texts * 2, tmp_path, csv) == [0, 3600, 3600.25] * 2


def test_parquet_times_of_every_unit_and_zone_are_seconds(tmp_path: Path) -> None:
    times = pl.Series([datetime(2020, 1, 1, 0, 0, second) for second in (0, 1, 3)] * 2)
    for kind in (pl.Datetime("ms"), pl.Datetime("ns"), pl.Datetime("us", "Asia/Tokyo")):
        assert order(times.cast(kind), tmp_path, csv=False) == [0, 1, 3] * 2
    assert order((times - times[0]), tmp_path, csv=False) == [0, 1, 3] * 2  # a duration


def test_names_that_differ_by_parts_of_a_second_are_two(tmp_path: Path) -> None:
    """Two series that begin in the same second were one in Parquet; other rows keep their names."""
    begins = pl.Series([datetime(2020, 1, 1, 9, 0, 0, part) for part in (0, 250_000)])
    frame = pl.DataFrame({"row": range(4), "ride": begins.gather([0, 0, 1, 1]), "when": [0, 1, 2, 3]})
    frame.with_columns(power=1.0, speed=1.0).write_parquet(tmp_path / "train.parquet")
    got = loading.load_table(tmp_path / "train.parquet", DATA, labelled=True)
    assert got.keys.to_list() == ["2020-01-01 09:00:00", "2020-01-01 09:00:00.250"]


def test_the_calendar_of_a_zone_is_that_of_utc(tmp_path: Path) -> None:
    """As of a CSV file, which has moments too; the store of an older version had another one."""
    when = pl.Series([datetime(2020, 1, 1, hour) for hour in (22, 23)]).dt.replace_time_zone("UTC")
    found = []
    for number, zone in enumerate(("UTC", "America/New_York", "")):
        frame = pl.DataFrame({"row": [0, 1], "ride": 1, "when": when.dt.convert_time_zone(zone) if zone else when})
        frame = frame.with_columns(power=1.0, speed=1.0, seen=1)
        path = tmp_path / f"train{number}.{'parquet' if zone else 'csv'}"
        frame.write_parquet(path) if zone else frame.write_csv(path)
        found.append(loading.load_table(path, replace(DATA, observed="seen"), labelled=True))
    assert [each.for_features[MOMENT].dt.hour().to_list() for each in found] == [[22, 23]] * 3
    assert found[0].fingerprint != found[1].fingerprint


@pytest.mark.parametrize("csv", [True, False])
def test_nanoseconds_beyond_float64_keep_their_steps(csv: bool, tmp_path: Path) -> None:
    first = 1_600_000_000_123_456_789
    steps = pl.Series([first, first + 7, first + 20] * 2)
    assert order(steps, tmp_path, csv) == [0, 7, 20] * 2
    assert order(steps.cast(pl.String), tmp_path, csv) == [0, 7, 20] * 2


def test_nanoseconds_beside_text_keep_their_steps(tmp_path: Path) -> None:
    first = 1_600_000_000_123_456_789
    (tmp_path / "train.csv").write_text(f"row,ride,when,power,speed\n1,1,{first},1,1\n2,1,{first + 7},NA,1\n")
    data = replace(DATA, missing_values=("NA",))
    table = loading.load_table(tmp_path / "train.csv", data, labelled=True)
    assert table.frame["when"].to_list() == [0, 7]


def test_numbers_beyond_int64_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'when' must hold numbers below 2\^63, but holds 9223372036854775808"):
        order(pl.Series([1, 2, 2**63] * 2, dtype=pl.UInt64), tmp_path, csv=False)


@pytest.mark.parametrize("csv", [True, False])
@pytest.mark.parametrize("odd", ["01/02/2020", "2020-02-30", "soon", "1500-01-01", "9999-12-31"])
def test_what_is_no_date_is_refused(odd: str, csv: bool, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"'when' must hold dates and times like 2017-03-01 .* row 2 holds '{odd}'"):
        order(["2020-02-01", odd, "2020-02-03"] * 2, tmp_path, csv)


def test_a_date_is_no_number_of_an_input(tmp_path: Path) -> None:
    for csv in (True, False):
        path = tmp_path / ("train.csv" if csv else "train.parquet")
        frame = pl.DataFrame({"row": [1], "ride": [1], "when": [1.0], "power": [DAYS[0]], "speed": [1.0]})
        frame.write_csv(path) if csv else frame.write_parquet(path)
        with pytest.raises(UserError, match="column 'power' must hold numbers"):
            loading.load_table(path, DATA, labelled=True)


@pytest.mark.parametrize("csv", [True, False])
def test_time_folds_by_the_order_still_know_the_dates(csv: bool, tmp_path: Path) -> None:
    shifted = [day + timedelta(days=400) for day in DAYS]
    order(pl.Series([*DAYS, *shifted]), tmp_path, csv)
    path = tmp_path / ("train.csv" if csv else "train.parquet")
    spans = time_spans.read(FoldsConfig(kind="time", k=2), loading.load_table(path, DATA, labelled=True))
    assert [spans.shown(value)[:10] for value in spans.first.tolist()] == ["2020-02-28", "2021-04-03"]


def test_dates_in_one_table_and_numbers_in_the_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("row,ride,when,power,speed\n1,1,2020-01-01,1,1\n2,1,2020-01-02,2,2\n")
    (tmp_path / "test.csv").write_text("row,ride,when,power\n3,2,1577836800,1\n4,2,1577923200,2\n")
    with pytest.raises(UserError, match=r"test.csv: 'when' must be of the kind .* stand only in .*train.csv"):
        loading.load(replace(DATA, source=str(tmp_path)))


def test_dates_in_one_table_and_long_numbers_in_the_other_are_refused(tmp_path: Path) -> None:
    long = 1_600_000_000_123_456_789
    (tmp_path / "train.csv").write_text(f"row,ride,when,power,speed\n1,1,{long},1,1\n2,1,{long + 9},2,2\n")
    (tmp_path / "test.csv").write_text("row,ride,when,power\n3,2,2020-01-01,1\n4,2,2020-01-02,2\n")
    with pytest.raises(UserError, match=r"test.csv: 'when' must be of the kind .* only .*test.csv holds dates"):
        loading.load(replace(DATA, source=str(tmp_path)))


def test_dates_of_the_order_are_no_column_of_a_metric_file(tmp_path: Path) -> None:
    """They count from the start of each series: their copy is what the file may read."""
    data = replace(DATA, metric="m.py", metric_columns=("when",))
    rows = pl.DataFrame({"row": range(2), "ride": [1, 1], "when": DAYS[:2], "power": [1.0, 2.0], "speed": [1.0, 2.0]})
    rows.write_csv(tmp_path / "train.csv")
    with pytest.raises(UserError, match=r"'when', which counts from the start .* copies = \{when_too = \"when\"\}"):
        loading.load_table(tmp_path / "train.csv", data, labelled=True)
    copied = replace(data, metric_columns=("day",), copies={"day": "when"}, source=str(tmp_path))
    table = loading.load_table(assemble.source_of(copied, tmp_path, "train"), copied, labelled=True)
    assert table.frame["day"].to_list() == ["2020-02-28", "2020-02-29"]
    rows.with_columns(when=pl.Series([7, 9])).write_csv(tmp_path / "train.csv")
    assert loading.load_table(tmp_path / "train.csv", data, labelled=True).frame["when"].to_list() == [7, 9]


def test_days_may_be_written_with_slashes_year_first(tmp_path: Path) -> None:
    texts = ["2020/02/28", "2020/02/29 08:00", "2020-03-01"]
    assert order(texts * 2, tmp_path, csv=True) == [0, 115200, 172800] * 2
    with pytest.raises(UserError, match="must hold numbers"):
        order(["28/02/2020", "29/02/2020", "01/03/2020"] * 2, tmp_path, csv=True)


@pytest.mark.parametrize("first", ["", "  "])
def test_an_empty_first_cell_of_dates_is_missing(first: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"row 1 .*'when' must have a value, but is empty"):
        order([first, "2020-01-02", "2020-01-03"] * 2, tmp_path, csv=True)


@pytest.mark.parametrize("texts", [["1", "2020-01-02", "2020-01-03"], ["2020-01-02", "2020-01-03", "1"]])
def test_dates_among_numbers_are_refused_in_a_sentence(texts: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must hold dates and times in all rows, or numbers in all, but row"):
        order(texts * 2, tmp_path, csv=True)


def test_a_small_number_first_does_not_round_the_long_ones(tmp_path: Path) -> None:
    long = 1_600_000_000_123_456_789
    assert order(pl.Series([0, 1, 2, long, long + 7, long + 20]), tmp_path, csv=True) == [0, 1, 2, 0, 7, 20]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_whole_seconds_come_out_whole(unit: Literal["ms", "us", "ns"]) -> None:
    """A multiplication by 1e-9 makes 259200.00000000003 of three days."""
    days = pl.datetime_range(pl.datetime(2017, 1, 1), pl.datetime(2017, 12, 31), "1d", time_unit=unit, eager=True)
    frame = pl.DataFrame({"shop": "a", "day": days})
    assert times.since_start(frame, "day", "shop")["day"].to_list() == [86400.0 * day for day in range(365)]
    spans = pl.Series("span", days - days[0])
    assert times.of_temporal(spans).to_list() == [86400.0 * day for day in range(365)]
    assert times.of_temporal(pl.Series([None, spans[1]], dtype=spans.dtype)).to_list() == [None, 86400.0]
