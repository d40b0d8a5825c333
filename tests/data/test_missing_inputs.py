"""Missing inputs, from the files to what each kind of model sees of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny

from foldline.core.errors import UserError
from foldline.data import featurize, loading
from foldline.data.featurize import FeaturesConfig
from foldline.data.roles import DataConfig
from foldline.data.store import open_store

DATA = DataConfig(**tiny.ROLES)


def read(folder: Path, power: list[str | None], **changes: object) -> tuple[list[float], list[float]]:
    """The power of a training table of one series, from a CSV and from a Parquet file of text."""
    rows = range(len(power))
    frame = pl.DataFrame({"row": rows, "ride": 1, "second": rows, "power": pl.Series(power, dtype=pl.String)})
    frame = frame.with_columns(coasting=0, bike=20, speed=1.0)
    frame.write_csv(folder / "train.csv", quote_style="never")
    frame.write_parquet(folder / "train.parquet")
    data = replace(DATA, **changes)  # type: ignore[arg-type]
    csv, parquet = (
        loading.load_table(folder / f"train.{kind}", data, labelled=True).frame["power"].fill_nan(-7.0).to_list()
        for kind in ("csv", "parquet")
    )
    return csv, parquet


@pytest.mark.parametrize(
    ("power", "values"),
    [
        (["1", "", "2"], [1, -7, 2]),
        (["", "NaN", "nan", "3"], [-7, -7, -7, 3]),
        ([" 1", "2 ", "+3", ".5", "1e2"], [1, 2, 3, 0.5, 100]),
        (["true", "false", "True"], [1, 0, 1]),
        (["1", "false"], [1, 0]),
        (["0.1234567890123456789", "1e-300"], [0.12345678901234568, 1e-300]),
    ],
)
def test_csv_and_parquet_read_the_same_numbers(power: list[str], values: list[float], tmp_path: Path) -> None:
    assert read(tmp_path, list(power)) == (values, values)


@pytest.mark.parametrize("markers", [(-1, "NA"), {"power": (-1, "NA")}])
def test_markers_are_missing(markers: object, tmp_path: Path) -> None:
    expected = [4, -7, -7, -7, 5]
    assert read(tmp_path, ["4", "-1", "NA", "-1.0", "5"], missing_values=markers) == (expected, expected)


@pytest.mark.parametrize("others", [["5", "6"], ["5", ""], ["5", "true"]])
def test_a_marker_may_be_the_text_of_a_number(others: list[str], tmp_path: Path) -> None:
    """Whether the other cells let the column be read as numbers or as text."""
    last = {"6": 6, "": -7, "true": 1}[others[1]]
    expected = [-7, -7, 5, last]
    assert read(tmp_path, ["-999", "-999.0", *others], missing_values=("-999",)) == (expected, expected)


def test_a_marker_that_is_not_named_is_refused_and_one_of_no_input_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 3: column 'power' must hold numbers, but holds 'NA'.*missing_values"):
        read(tmp_path, ["4", "NA"])
    with pytest.raises(ValueError, match="missing_values must name inputs that are numbers, but has 'second'"):
        replace(DATA, missing_values={"second": (-1,)})
    with pytest.raises(UserError, match="'power' must be a finite number, but is inf"):
        read(tmp_path, ["4", "inf"])


def gappy(absent_in_test: bool = False) -> dict[str, pl.DataFrame]:
    """Rides whose power is missing at some steps and in whole series; in test only, if asked for."""
    tables = tiny.frames()
    lacks = pl.when((pl.col("ride") % 3 == 0) | (pl.col("row") % 4 == 1)).then(None).otherwise("power").alias("power")
    if not absent_in_test:
        tables["train"] = tables["train"].with_columns(lacks)
    tables["test"] = tables["test"].with_columns(pl.lit(None, pl.Float64).alias("power") if absent_in_test else lacks)
    return tables


def test_the_store_holds_nan_and_a_channel_that_says_where(tmp_path: Path, home: Path) -> None:
    source = tiny.write(tmp_path / "rides", gappy())
    found = loading.load(replace(DATA, source=str(source)))
    config = FeaturesConfig(families=("raw", "lags", "static"), tables={"lags": {"lags": [1], "leads": []}})
    for table in (found.train, found.test):
        made = featurize.obtain(table, config, found.levels)
        assert made.names == ("power", "coasting", "power@t-1", "bike=20", "bike=28", "missing(power)")
        missing = np.isnan(table.frame["power"].to_numpy())
        assert made.missing and missing.any()
        assert np.isnan(made.x[:, 0]).tolist() == missing.tolist() == (made.x[:, -1] == 1).tolist()
    complete = loading.load(replace(DATA, source=str(tiny.write(tmp_path / "complete", tiny.frames()))))
    made = featurize.obtain(complete.train, config, complete.levels)
    assert "missing(power)" not in made.names and not made.missing and made.facts == {}


@pytest.mark.parametrize("absent_in_test", [False, True])
def test_trees_and_networks_train_and_infer_with_gaps(
    absent_in_test: bool, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tiny.write(tmp_path / "rides", gappy(absent_in_test))
    tiny.install(home, source)
    tiny.run("train", "rides", "model.0.train.fill=forward")
    said = capsys.readouterr().out
    assert ("missing inputs of train.csv, of 120 rows: power" in said) is not absent_in_test
    assert f"missing inputs of test.csv, of 40 rows: power {40 if absent_in_test else 25}" in said
    record = json.loads((home / "runs" / "rides" / "latest" / "experiment.json").read_text())
    facts = {"missing": ["power"], "offsets": {}, "numbers": [], "from_start": False}
    assert record.get("columns") == (None if absent_in_test else facts)
    before = tiny.submission(home)
    assert np.isfinite(pl.read_csv(before)["speed"].to_numpy()).all()
    tiny.run("infer", "rides")
    assert len({path.read_bytes() for path in (home / "submissions").glob("rides-*.csv")}) == 1  # the same again


def test_infer_subtracts_what_training_subtracted(tmp_path: Path, home: Path) -> None:
    """A file whose own values would give another number, or none, is seen as the training table was."""
    tables = tiny.frames()
    plain = {**tables, "test": tables["test"].filter(pl.col("ride") == 501)}
    plain["sample_submission"] = plain["test"].select("row", speed=pl.lit(0.0))
    moved = {
        stem: table.with_columns(power=pl.col("power") + 1e9, second=pl.col("second") + 1.6e12)
        if "power" in table.columns
        else table
        for stem, table in plain.items()
    }
    tiny.install(home, tiny.write(tmp_path / "rides", moved))
    tiny.run("train", "rides")
    stores = [open_store(path) for path in (home / "runs" / "store").iterdir()]
    for made in stores:  # nothing came out constant
        assert np.ptp(made.x[:, made.names.index("power")]) > 4 and np.ptp(made.x[:, made.names.index("second")]) > 4
    one = {**moved, "test": moved["test"].with_columns(power=pl.lit(1e9 + 2.0))}
    tiny.run("infer", "rides", f"data.source={tiny.write(tmp_path / 'one', one)}")
    new = [open_store(path) for path in (home / "runs" / "store").iterdir() if path not in [s.path for s in stores]]
    assert new[0].x[:, new[0].names.index("power")].tolist() == [2.0] * 10
