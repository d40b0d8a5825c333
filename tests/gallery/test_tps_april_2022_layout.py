"""The files of TPS April 2022 against the published rules: what the host's data page and the public notebooks say."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from helpers.gallery_files import changed

pytestmark = pytest.mark.gallery

SENSORS = [f"sensor_{number:02}" for number in range(13)]


def check(folder: Path) -> None:
    """Refuse files that the competition would not have."""
    tables = {
        name: pl.read_csv(folder / f"{name}.csv") for name in ("train", "test", "train_labels", "sample_submission")
    }
    train, test = tables["train"], tables["test"]
    for table in (train, test):
        assert table.columns == ["sequence", "subject", "step", *SENSORS]
        assert set(table.select("sequence", "subject", "step").dtypes) == {pl.Int64}
        assert (
            set(table.select(SENSORS).dtypes) == {pl.Float64}
            and table.select(SENSORS).null_count().sum_horizontal()[0] == 0
        )
        each = table.group_by("sequence").agg(pl.col("step"), pl.col("subject").n_unique())
        assert all(steps == list(range(60)) for steps in each["step"].to_list()) and (each["subject"] == 1).all()
    assert not set(train["subject"]) & set(test["subject"]), "test has subjects of its own"
    assert test["sequence"].min() == train["sequence"].max() + 1
    labels, sample = tables["train_labels"], tables["sample_submission"]
    assert labels.columns == sample.columns == ["sequence", "state"]
    assert labels["sequence"].to_list() == sorted(set(train["sequence"])) and set(labels["state"]) == {0, 1}
    assert set(labels.dtypes) == {pl.Int64}
    assert sample["sequence"].to_list() == sorted(set(test["sequence"])) and set(sample["state"]) == {0}


def test_the_files_are_those_of_the_competition(files: Path) -> None:
    check(files)


def test_it_has_the_traps(folder: Path) -> None:
    train = pl.read_csv(folder / "train.csv")
    stuck = train.group_by("sequence").agg((pl.col(SENSORS) == 0).all()).select(pl.any_horizontal(SENSORS).sum())
    assert stuck.item() > 0, "sensors that are 0 throughout"
    series = train.group_by("sequence").agg(SENSORS)
    assert series.select(SENSORS).unique().height < series.height, "series that come twice"
    sizes = train.group_by("subject").agg(pl.col("sequence").n_unique())["sequence"]
    assert sizes.min() >= 2 and sizes.max() > 4 * sizes.min()
    assert (train["sensor_01"].abs().max() or 0) > 20 * (train["sensor_01"].std() or 0), "extreme tails"


def test_the_checker_finds_what_is_wrong(folder: Path) -> None:
    for name, change in (
        ("test", pl.col("subject") - 1),
        ("train", pl.col("step") + 1),
        ("train_labels", pl.col("state").cast(pl.Boolean)),
    ):
        with changed(folder / f"{name}.csv", change), pytest.raises(AssertionError):
            check(folder)
