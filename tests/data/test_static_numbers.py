"""Static columns that are numbers, categories of many values, and missing ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny

from foldline.core.errors import UserError
from foldline.data import featurize, loading, table_notes
from foldline.data.featurize import FeaturesConfig
from foldline.data.roles import DataConfig
from foldline.data.store import Store

DATA = DataConfig(
    id="row", key="ride", order="second", inputs=("power",), static=("bike", "age"), target=("speed",), source="-"
)
STATIC = FeaturesConfig(families=("static",))


def rides(values: list[object], test: list[object], column: str = "age") -> dict[str, pl.DataFrame]:
    """Rides of two steps, each with a value of its own."""
    tables = tiny.frames(train_series=len(values), test_series=len(test), steps=2)
    for stem, given in (("train", values), ("test", test)):
        each = pl.Series(column, given).gather(np.repeat(np.arange(len(given)), 2))
        tables[stem] = tables[stem].with_columns(each)
    return tables


def stores(tables: dict[str, pl.DataFrame], folder: Path, **changes: object) -> tuple[Store, Store]:
    found = loading.load(replace(DATA, source=str(tiny.write(folder / "rides", tables)), **changes))  # type: ignore[arg-type]
    return featurize.obtain(found.train, STATIC, found.levels), featurize.obtain(found.test, STATIC, found.levels)


def feature(store: Store, name: str) -> list[float]:
    """A feature, one value a series."""
    return np.asarray(store.x[::2, store.names.index(name)]).tolist()


AGES = [20.5 + number for number in range(30)]


def test_a_column_of_many_numbers_is_a_feature_as_it_is(tmp_path: Path, home: Path) -> None:
    train, test = stores(rides([*AGES], [33.25, 99.0]), tmp_path)
    assert train.names == ("bike=20", "bike=28", "age")
    assert feature(train, "age") == AGES and feature(test, "age") == [33.25, 99.0]
    assert train.levels == (2, 0) and not train.static[:, 1].any()  # networks embed nothing of it
    assert train.of_static == (True, True, True)


def test_few_numbers_are_categories_as_ever_and_keys_decide_otherwise(tmp_path: Path, home: Path) -> None:
    few: list[object] = [1, 2, 3] * 4
    train, _ = stores(rides(few, [1, 9]), tmp_path)
    assert train.levels == (2, 3) and "age=2" in train.names and "bike=20*age=3" in train.names and train.facts == {}
    train, test = stores(rides(few, [1, 9]), tmp_path, static_numeric=("age",))
    assert feature(train, "age") == few and feature(test, "age") == [1, 9]
    train, test = stores(rides([*AGES], [20.5, 99.0]), tmp_path, categorical=("age",))
    assert train.levels == (2, 30) and "age=49.5" in train.names
    with pytest.raises(ValueError, match="static_numeric must name static columns, but has 'power'"):
        replace(DATA, static_numeric=("power",))


def test_numbers_with_an_offset_survive_and_missing_ones_have_a_channel(tmp_path: Path, home: Path) -> None:
    values: list[object] = [1e9 + age for age in AGES]
    train, test = stores(rides([*values[:-1], None], [None, 1e9 + 25.0]), tmp_path)
    assert train.names[-2:] == ("age", "missing(age)")
    assert np.ptp(feature(train, "age")[:-1]) == 28 and np.isnan(feature(train, "age")[-1])
    assert np.isnan(feature(test, "age")[0]) and feature(test, "age")[1] == 25.0
    assert feature(train, "missing(age)") == [0.0] * 29 + [1.0] and feature(test, "missing(age)") == [1, 0]


def test_hundreds_of_names_have_their_place_and_no_one_hots(tmp_path: Path, home: Path) -> None:
    names: list[object] = [f"n{number:03d}" for number in range(150)]
    train, test = stores(rides([*names], ["n007", "new"]), tmp_path)
    assert train.names == ("bike=20", "bike=28", "place(age)") and train.levels == (2, 150)
    assert feature(train, "place(age)") == list(range(1, 151)) and feature(test, "place(age)") == [8, 0]
    assert test.static[:, 1].tolist() == [8, 0]  # embeddings know each of them


def test_a_missing_name_is_unknown(tmp_path: Path, home: Path) -> None:
    train, test = stores(rides(["a", None, "b"] * 3, ["b", None]), tmp_path)
    assert train.static[:3, 1].tolist() == [1, 0, 2] and test.static[:, 1].tolist() == [2, 0]
    assert feature(train, "age=a")[:3] == [1, 0, 0] and feature(train, "age=b")[:3] == [0, 0, 1]
    with pytest.raises(UserError, match="column 'age' is empty in all rows"):
        stores(rides([None] * 4, ["a"]), tmp_path)


def test_text_where_training_has_numbers_is_refused(tmp_path: Path, home: Path) -> None:
    with pytest.raises(UserError, match=r"test.csv: static column 'age' must hold numbers.*but holds 'old'.*categor"):
        stores(rides([*AGES], ["old", "33.5"]), tmp_path)


def test_a_note_on_many_columns_is_short(tmp_path: Path, home: Path) -> None:
    tables, many = rides([*AGES], [1.5]), tuple(f"question {number}" for number in range(90))
    answered = [pl.col("age").alias(name) for name in many]
    tables = {stem: table.with_columns(answered) if "age" in table.columns else table for stem, table in tables.items()}
    data = replace(DATA, static=many, source=str(tiny.write(tmp_path / "rides", tables)))
    found = loading.load(data)
    said = table_notes.static_columns(found.train, found.levels)
    assert said.startswith("static numbers: question 0 (30 values)") and said.endswith("more") and len(said) < 600


def test_a_run_says_which_is_which_and_infer_follows(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = rides([*AGES[:-1], None], [None, 33.0], "age")
    path = tiny.install(home, tiny.write(tmp_path / "rides", tables))
    path.write_text(path.read_text().replace('static = ["bike"]', 'static = ["bike", "age"]'))
    tiny.run("train", "rides")
    said = capsys.readouterr().out
    assert "static numbers: age (30 values); categories: bike (2); rows without a value: age 2" in said
    record = json.loads((home / "runs" / "rides" / "latest" / "experiment.json").read_text())
    assert record["levels"] == {"bike": [20, 28], "age": []} and record["columns"]["numbers"] == ["age"]
    before = tiny.submission(home)
    tiny.run("infer", "rides")
    assert before in [path.read_bytes() for path in (home / "submissions").glob("rides-*.csv")]
