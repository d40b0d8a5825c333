"""Equal-key joins against a slow loop; what can't be joined is refused with both files named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.data import assemble
from foldline.data.assemble import Source
from foldline.data.join_tables import JoinConfig
from foldline.data.readers import ORDER

ROWS = pl.DataFrame({"k": ["a", "b", "a", "c"], "t": [0, 1, 2, 3], "x": [1.0, 2.0, 3.0, 4.0]})


def source(folder: Path, rows: pl.DataFrame, *joins: JoinConfig, **tables: pl.DataFrame) -> Source:
    for name, table in {"train": rows, **tables}.items():
        table.write_csv(folder / f"{name}.csv")
    return Source(folder, assemble.located(folder, "train", "data.train"), "train", joins)


def test_a_join_is_what_a_loop_finds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = pl.DataFrame({"k": rng.integers(0, 9, 200), "day": rng.integers(0, 5, 200) * 1.0, "x": rng.normal(size=200)})
    table = pl.DataFrame({"k": np.repeat(np.arange(9), 5), "day": np.tile(np.arange(5), 9), "v": rng.normal(size=45)})
    found = source(tmp_path, rows, JoinConfig(file="v.csv", on=("k", "day")), v=table.sample(45, shuffle=True, seed=1))
    known = {(k, day): v for k, day, v in table.iter_rows()}
    expected = [known[int(k), int(day)] for k, day, _ in rows.iter_rows()]
    got = found.read({"x": pl.Float64(), "v": pl.Float64()}).frame
    assert got["v"].to_list() == expected and got["x"].to_list() == rows["x"].to_list()
    assert got.columns == ["x", "v"]


def test_keys_are_compared_as_names_are(tmp_path: Path) -> None:
    (tmp_path / "about.csv").write_text("k,age\n1.0,30\n 2,40\n")
    rows = pl.DataFrame({"k": [2, 1], "x": [0.0, 0.0]})
    got = source(tmp_path, rows, JoinConfig(file="about.csv", on="k")).read({"age": pl.Float64()}).frame
    assert got["age"].to_list() == [40.0, 30.0]


@pytest.mark.parametrize("time", ["", " 12:30"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_dates_that_are_the_order_are_compared_as_moments(ending: str, time: str, tmp_path: Path) -> None:
    """As the weather or a price is joined by the day that is the order of the series."""
    rows = pl.DataFrame({"k": ["a", "a", "b"], "day": [f"2024-01-0{day}{time}" for day in (2, 3, 2)]})
    prices = pl.DataFrame({"day": [f"2024/01/0{day}{time}" for day in (3, 2)], "price": [7.0, 8.0]})
    rows.write_csv(tmp_path / "train.csv")
    if ending == "csv":
        prices.write_csv(tmp_path / "prices.csv")
    else:
        prices.with_columns(day=rows["day"].str.to_datetime()[1:]).write_parquet(tmp_path / "prices.parquet")
    join = JoinConfig(file=f"prices.{ending}", on="day")
    found = Source(tmp_path, assemble.located(tmp_path, "train", "data.train"), "train", (join,))
    got = found.read({"k": None, "day": ORDER, "price": pl.Float64()}).frame
    assert got["price"].to_list() == [8.0, 7.0, 8.0] and got["day"].dtype.is_temporal()
    pl.DataFrame({"day": [3, 2], "price": [7.0, 8.0]}).write_csv(tmp_path / "prices.csv")
    with pytest.raises(UserError, match=r"prices\.csv is joined to .*train\.csv on 'day', which must hold numbers, or"):
        replace(found, joins=(JoinConfig(file="prices.csv", on="day"),)).read({"day": ORDER, "price": pl.Float64()})


def refused(folder: Path, about: pl.DataFrame, join: JoinConfig, rows: pl.DataFrame = ROWS) -> str:
    with pytest.raises(UserError) as error:
        source(folder, rows, join, about=about).read({"k": None, "x": pl.Float64(), "age": pl.Float64()})
    return str(error.value)


ABOUT = JoinConfig(file="about.csv", on="k")


def test_a_key_that_comes_twice_is_refused(tmp_path: Path) -> None:
    about = pl.DataFrame({"k": ["a", "b", "c", "b"], "age": [1, 2, 3, 4]})
    assert "about.csv, rows 2 and 4: a joined table must have each key once, but both have k b." in refused(
        tmp_path, about, ABOUT
    )


def test_rows_without_a_partner_are_refused_unless_the_config_allows_them(tmp_path: Path) -> None:
    about = pl.DataFrame({"k": ["b", "c"], "age": [2, 3]})
    message = refused(tmp_path, about, ABOUT)
    assert "has none for 2 of 4 (first: row 1, k a)" in message and "required = false" in message
    optional = JoinConfig(file="about.csv", on="k", required=False)
    got = source(tmp_path, ROWS, optional, about=about).read({"age": pl.Float64()}).frame
    assert got["age"].to_list() == [None, 2.0, None, 3.0]


def test_a_join_without_any_partner_is_a_mistake_in_any_case(tmp_path: Path) -> None:
    about = pl.DataFrame({"k": ["x"], "age": [2]})
    message = refused(tmp_path, about, JoinConfig(file="about.csv", on="k", required=False))
    assert "has none for 4 of 4" in message and "the right column in on?" in message


def test_a_column_of_two_files_is_refused_and_can_be_chosen(tmp_path: Path) -> None:
    about = pl.DataFrame({"k": ["a", "b", "c"], "age": [1, 2, 3], "x": [7, 8, 9]})
    message = refused(tmp_path, about, ABOUT)
    assert "about.csv and " in message and "both have the column 'x'" in message and "columns = [...]" in message
    chosen = JoinConfig(file="about.csv", on="k", columns=("age",))
    wanted = {"x": pl.Float64(), "age": pl.Float64()}
    assert source(tmp_path, ROWS, chosen, about=about).read(wanted).frame["x"].to_list() == [1, 2, 3, 4]
    theirs = JoinConfig(file="about.csv", on="k", columns=("age", "x"))
    assert source(tmp_path, ROWS, theirs, about=about).read(wanted).frame["x"].to_list() == [7, 8, 7, 9]


def test_missing_columns_are_named(tmp_path: Path) -> None:
    about = pl.DataFrame({"k": ["a", "b", "c"], "agee": [1, 2, 3]})
    assert "train.csv lacks a column that [data] names, and so does" in refused(tmp_path, about, ABOUT)
    assert "Did you mean 'agee'?" in refused(tmp_path, about, ABOUT)
    wrong = JoinConfig(file="about.csv", on="key")
    assert "about.csv lacks a column that data.join names: unknown column 'key'" in refused(tmp_path, about, wrong)
    about = pl.DataFrame({"subject": ["a"], "age": [1]})
    assert "train.csv lacks a column that data.join joins" in refused(
        tmp_path, about, JoinConfig(file="about.csv", on="subject")
    )


def test_a_file_that_is_not_there_is_named_with_its_key(tmp_path: Path) -> None:
    about = pl.DataFrame({"k": ["a"], "age": [1]})
    message = refused(tmp_path, about, JoinConfig(file="{part}_about.csv", on="k"))
    assert "train_about.csv, which data.join.file names, does not exist" in message and "holds about.csv" in message


def test_a_join_that_gives_nothing_is_not_read(tmp_path: Path) -> None:
    labels = pl.DataFrame({"k": ["a", "a"], "y": [1, 2]})  # a key twice would be refused
    found = source(tmp_path, ROWS, JoinConfig(file="y.csv", on="k"), y=labels)
    assert found.read({"x": pl.Float64()}).frame["x"].to_list() == [1.0, 2.0, 3.0, 4.0]


def test_what_a_join_needs_is_checked() -> None:
    with pytest.raises(ValueError, match="file and on must be given"):
        JoinConfig(file="a.csv", on=())
    with pytest.raises(ValueError, match="is what is joined on"):
        JoinConfig(file="a.csv", on="k", columns=("k",))
