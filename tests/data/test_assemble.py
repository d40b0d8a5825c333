"""Every layout gives the table that one plain file gives, with the same fingerprint; errors name the file and row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
import tiny

from foldline.core.errors import UserError
from foldline.data import assemble, loading
from foldline.data.join_tables import JoinConfig
from foldline.data.readers import ORDER, Numbers
from foldline.data.roles import DataConfig

ROLES = {
    "id": "row",
    "key": "ride",
    "order": "second",
    "target": ("speed",),
    "inputs": ("power", "coasting"),
    "static": ("bike",),
}
TRAIN = tiny.rides(1, 12, 10, seed=0)


def roles(source: Path, **more: object) -> DataConfig:
    return DataConfig(source=str(source), **(ROLES | more))  # type: ignore[arg-type]


def fingerprint(data: DataConfig) -> str:
    source = assemble.source_of(data, Path(data.source), "train")
    return loading.load_table(source, data, labelled=True).fingerprint


def parts() -> list[tuple[int, pl.DataFrame]]:
    """The rides, one by one, in order."""
    return [(int(frame["ride"][0]), frame) for frame in TRAIN.partition_by("ride", maintain_order=True)]


def a_file_a_series(folder: Path) -> dict[str, object]:
    (folder / "train").mkdir()
    for ride, frame in parts():
        frame.drop("ride").write_csv(folder / "train" / f"{ride:03}.csv")
    return {"train": "train/{ride}.csv"}


def hive(folder: Path) -> dict[str, object]:
    for ride, frame in parts():
        (folder / "train.parquet" / f"ride={ride:03}").mkdir(parents=True)
        frame.drop("ride").write_parquet(folder / "train.parquet" / f"ride={ride:03}" / "part-0.parquet")
    return {}


def hive_of_another_name(folder: Path) -> dict[str, object]:
    hive(folder)
    (folder / "train.parquet").rename(folder / "series[1]")
    return {"train": "series[1]"}


def several(folder: Path) -> dict[str, object]:
    TRAIN[:33].write_parquet(folder / "a.parquet")  # it cuts a series in two
    TRAIN[33:].write_parquet(folder / "b.parquet")
    return {"train": "?.parquet"}


def joined(folder: Path) -> dict[str, object]:
    TRAIN.drop("bike", "speed").write_csv(folder / "train.csv")
    about = TRAIN.select("ride", "bike").unique().sort("bike")
    about.with_columns(maker="m" + pl.col("bike").cast(pl.String)).select("ride", "maker").write_csv(
        folder / "rides.csv"
    )
    pl.DataFrame({"maker": ["m20", "m28"], "bike": [20, 28]}).write_parquet(folder / "makers.parquet")
    TRAIN.select("ride", "second", "speed").reverse().write_csv(folder / "labels.csv")
    return {
        "join": (
            JoinConfig(file="rides.csv", on="ride"),
            JoinConfig(file="makers.parquet", on="maker"),
            JoinConfig(file="labels.csv", on=("ride", "second")),
        )
    }


CODE = """
from foldline.data.reshape import scan, to_long


def tables(folder):
    lists = scan(folder / "train.json")
    return {"train": to_long(lists, order="step", arrays=["row", "second", "power", "coasting", "speed"])}
"""


def made(folder: Path) -> dict[str, object]:
    lists = TRAIN.group_by("ride", "bike", maintain_order=True).agg("row", "second", "power", "coasting", "speed")
    lists.write_ndjson(folder / "train.json")
    (folder / "competition.py").write_text(CODE)
    return {"code": "competition.py", "code_folder": str(folder)}


@pytest.mark.parametrize("layout", [a_file_a_series, hive, hive_of_another_name, several, joined, made])
def test_every_layout_gives_the_same_table(layout: Callable[[Path], dict[str, object]], tmp_path: Path) -> None:
    plain = roles(tiny.write(tmp_path / "plain", {"train": TRAIN}))
    folder = tmp_path / "rides[1]"
    folder.mkdir()
    more = layout(folder)
    # names of files are text: 001 stays that, as everywhere
    if layout in (a_file_a_series, hive, hive_of_another_name):
        changed = TRAIN.with_columns(ride=pl.col("ride").cast(pl.String).str.zfill(3))
        tiny.write(tmp_path / "plain", {"train": changed})
    assert fingerprint(roles(folder, **more)) == fingerprint(plain)


def test_a_bad_value_is_named_by_its_file_and_its_row_there(tmp_path: Path) -> None:
    more = a_file_a_series(tmp_path)
    path = tmp_path / "train" / "007.csv"
    pl.read_csv(path).with_columns(
        power=pl.when(pl.col("second") == 1).then(float("inf")).otherwise("power")
    ).write_csv(path)
    with pytest.raises(UserError, match=r"train/007.csv, row 3 \(row 1062\): 'power' must be a finite"):
        fingerprint(roles(tmp_path, **more))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([pl.Series([1, 2]), pl.Series(["a", "007"])], ["1", "2", "a", "007"]),
        ([pl.Series([1.0]), pl.Series([2, 3])], [1, 2, 3]),
        ([pl.Series([1.0, None]), pl.Series([float("nan")]), pl.Series(["b"])], ["1", None, None, "b"]),
    ],
)
def test_names_have_one_form_over_all_files(columns: list[pl.Series], expected: list[object], tmp_path: Path) -> None:
    for number, column in enumerate(columns):
        pl.DataFrame({"k": column}).write_parquet(tmp_path / f"{number}.parquet")
    table = assemble.located(tmp_path, "*.parquet", "data.train")
    assert table.read({"k": None}).frame["k"].to_list() == expected


LONG = 1_600_000_000_123_456_789
MOMENT = datetime(2020, 1, 1)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([pl.Series([LONG]), pl.Series(["3"])], [LONG, 3]),
        ([pl.Series([LONG]), pl.Series([0.5])], [float(LONG), 0.5]),
        (
            [pl.Series([MOMENT], dtype=pl.Datetime("ms")), pl.Series([MOMENT]), pl.Series([date(2020, 1, 1)])],
            [MOMENT] * 3,
        ),
    ],
)
def test_orders_have_one_type_over_all_files(columns: list[pl.Series], expected: list[object], tmp_path: Path) -> None:
    for number, column in enumerate(columns):
        pl.DataFrame({"t": column}).write_parquet(tmp_path / f"{number}.parquet")
    assert assemble.located(tmp_path, "*.parquet", "data.train").read({"t": ORDER}).frame["t"].to_list() == expected


def test_numbers_in_one_file_and_times_in_another_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0.csv").write_text("t\n2020-01-01\n")
    (tmp_path / "1.csv").write_text("t\n1\n")
    with pytest.raises(UserError, match="column 't' must hold numbers, or times, of one kind in all files, but holds"):
        assemble.located(tmp_path, "*.csv", "data.train").read({"t": ORDER})


def test_a_path_may_hold_what_stands_for_a_missing_number(tmp_path: Path) -> None:
    for name in ("-1", "2"):
        (tmp_path / f"{name}.csv").write_text("t\n1\n")
    table = assemble.located(tmp_path, "{x}.csv", "data.train")
    assert table.read({"x": Numbers((-1,))}).frame["x"].to_list() == [None, 2]


def test_a_path_may_hold_the_date_that_is_the_order(tmp_path: Path) -> None:
    for day in (1, 2):
        (tmp_path / f"2024-01-0{day}.csv").write_text("k\na\nb\n")
    table = assemble.located(tmp_path, "{day}.csv", "data.train")
    assert table.read({"k": None, "day": ORDER}).frame["day"].dt.day().to_list() == [1, 1, 2, 2]
    (tmp_path / "3.csv").write_text("k\na\n")
    with pytest.raises(UserError, match=r"'day', which paths give, must hold dates and times in all rows, or numbers"):
        table = assemble.located(tmp_path, "{day}.csv", "data.train")
        table.read({"k": None, "day": ORDER})


def test_a_partitions_own_column_is_the_one_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "train.parquet" / "ride=1").mkdir(parents=True)
    TRAIN[:10].write_parquet(tmp_path / "train.parquet" / "ride=1" / "a.parquet")
    table = assemble.located(tmp_path, "train", "data.train")
    assert table.read({"ride": None, "power": pl.Float64()}).frame["ride"].to_list() == [1] * 10


def test_a_file_without_rows_is_passed_over_and_said(tmp_path: Path) -> None:
    more = a_file_a_series(tmp_path)
    before = fingerprint(roles(tmp_path, **more))
    path = tmp_path / "train" / "999.csv"
    path.write_text("row,second,power,coasting,bike,speed\n")
    data = roles(tmp_path, **more)
    table = loading.load_table(assemble.source_of(data, tmp_path, "train"), data, labelled=True)
    assert table.empty == [path] and table.fingerprint == before


def test_a_file_of_no_bytes_or_other_columns_is_refused(tmp_path: Path) -> None:
    more = a_file_a_series(tmp_path)
    path = tmp_path / "train" / "999.csv"
    path.write_text("")
    with pytest.raises(UserError, match=r"train/999.csv is empty: it needs a header and rows"):
        fingerprint(roles(tmp_path, **more))
    path.write_text("row,second,powr,coasting,bike,speed\n1,1,1,1,1,1\n")
    with pytest.raises(UserError, match=r"train/999.csv lacks a column .* Did you mean 'powr'"):
        fingerprint(roles(tmp_path, **more))


def test_all_files_without_rows_are_refused(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("row,ride,second,power,coasting,bike,speed\n")
    with pytest.raises(UserError, match=r"\?.csv: its 2 files have a header but no rows"):
        fingerprint(roles(tmp_path, train="?.csv"))


def test_a_column_of_file_and_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    TRAIN.write_csv(tmp_path / "train" / "1.csv")
    with pytest.raises(UserError, match=r"1.csv has a column 'ride' of its own, but the pattern .* Write \* instead"):
        fingerprint(roles(tmp_path, train="train/{ride}.csv"))


def test_a_number_from_a_path_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "1-fast.csv").write_text(TRAIN.drop("power").write_csv())
    with pytest.raises(
        UserError, match=r"1-fast.csv: 'power', which its path gives, must be a number, but is '1-fast'"
    ):
        fingerprint(roles(tmp_path, train="{power}.csv"))


def test_a_key_names_one_file_by_its_path(tmp_path: Path) -> None:
    plain = roles(tiny.write(tmp_path / "in[1]" / "deep", {"train_v2": TRAIN}).parent)
    expected = fingerprint(roles(tiny.write(tmp_path / "plain", {"train": TRAIN})))
    assert fingerprint(roles(Path(plain.source), train="deep/train_v2.csv")) == expected
    with pytest.raises(UserError, match=r"data.train names, does not exist; .*deep holds train_v2.csv"):
        fingerprint(roles(Path(plain.source), train="deep/train_v3.csv"))


def test_a_folder_of_csv_files_where_a_file_belongs_says_how_it_is_named(tmp_path: Path) -> None:
    tiny.write(tmp_path / "train.csv", {"part-0": TRAIN})
    with pytest.raises(UserError, match=r'a file is needed. .* by a pattern: data.train = "train.csv/\*.csv"'):
        fingerprint(roles(tmp_path))
    assert fingerprint(roles(tmp_path, train="train.csv/*.csv"))


def test_a_folder_of_csv_files_where_nothing_is_named_says_how_it_is(tmp_path: Path) -> None:
    a_file_a_series(tmp_path)
    with pytest.raises(UserError, match=r'without Parquet files. Name .* by a pattern: data.train = "train/\*.csv"'):
        fingerprint(roles(tmp_path))


def test_train_and_test_may_be_laid_out_differently(home: Path, tmp_path: Path) -> None:
    more = a_file_a_series(tmp_path)
    frames = tiny.frames()
    test = frames["test"].with_columns(pl.col("ride").cast(pl.String))
    test.write_parquet(tmp_path / "hidden.parquet")
    frames["sample_submission"].write_csv(tmp_path / "answers.csv")
    found = loading.load(roles(tmp_path, test="hidden.parquet", sample="answers.csv", **more))
    assert len(found.train.lengths) == 12 and len(found.test.lengths) == 4
    assert found.sample is not None and found.sample.height == 40


def test_labels_that_test_lacks_need_no_file(home: Path, tmp_path: Path) -> None:
    frames = tiny.frames()
    labels = frames["train"].select("row", "speed")
    tiny.write(tmp_path, {**frames, "train": frames["train"].drop("speed"), "train_labels": labels})
    found = loading.load(roles(tmp_path, join=(JoinConfig(file="{part}_labels.csv", on="row"),)))
    assert found.train.frame["speed"].to_list() == frames["train"]["speed"].to_list()


@pytest.mark.parametrize("csv", [True, False])
def test_a_column_has_a_second_role_under_a_second_name(csv: bool, tmp_path: Path) -> None:
    days = pl.date_range(date(2020, 1, 1), date(2020, 1, 1), eager=True).sample(TRAIN.height, with_replacement=True)
    days = days.dt.offset_by(pl.Series([f"{row}d" for row in range(TRAIN.height)]))
    frame = TRAIN.drop("row", "second").with_columns(day=days)
    frame.write_csv(tmp_path / "train.csv") if csv else frame.write_parquet(tmp_path / "train.parquet")
    data = roles(tmp_path, id="day", order="when", copies={"when": "day"})
    table = loading.load_table(assemble.source_of(data, tmp_path, "train"), data, labelled=True)
    assert table.frame["day"].to_list()[:2] == ["2020-01-01", "2020-01-02"]
    assert table.frame["when"].to_list()[:2] == [0.0, 86400.0]


@pytest.mark.parametrize("csv", [True, False])
def test_a_join_may_be_on_a_second_name(csv: bool, tmp_path: Path) -> None:
    """Freezing of Gait: a walk is called by its file, Id by its metadata, and Id in the sample is something else."""
    bikes = TRAIN.select("bike", trip="ride").unique(maintain_order=True).reverse()
    for name, frame in {"train": TRAIN.drop("bike"), "bikes": bikes}.items():
        frame.write_csv(tmp_path / f"{name}.csv") if csv else frame.write_parquet(tmp_path / f"{name}.parquet")
    file = f"bikes.{'csv' if csv else 'parquet'}"
    data = roles(tmp_path, copies={"trip": "ride"}, join=(JoinConfig(file=file, on="trip"),))
    table = loading.load_table(assemble.source_of(data, tmp_path, "train"), data, labelled=True)
    assert table.frame["bike"].to_list() == TRAIN["bike"].to_list()


def test_a_joined_file_that_test_lacks_is_named_where_its_column_is_missed(home: Path, tmp_path: Path) -> None:
    frames = tiny.frames()
    bikes = frames["train"].select("ride", "bike").unique()
    tiny.write(
        tmp_path, {"train": frames["train"].drop("bike"), "test": frames["test"].drop("bike"), "train_bikes": bikes}
    )
    with pytest.raises(UserError, match=r"'bike'") as refused:
        loading.load(roles(tmp_path, join=(JoinConfig(file="{part}_bikes.csv", on="ride"),)))
    told = str(refused.value)
    assert "test.csv" in told and "test_bikes.csv, which data.join names, is not there" in told


def test_copies_of_copies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'when' is such a name itself"):
        roles(tmp_path, copies={"when": "day", "then": "when"})
    with pytest.raises(ValueError, match=r'by copies = \{row_too = "row"\}'):
        roles(tmp_path, order="row")
