"""Which files are train, test and sample, and what is joined to them: what `init` writes, and the loader takes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import tiny

from foldline.core.errors import UserError
from foldline.data import inspected_files
from foldline.data.join_tables import JoinConfig

FRAMES = tiny.frames()
TRAIN, TEST, SAMPLE = (FRAMES[name] for name in ("train", "test", "sample_submission"))


def a_file_a_series(folder: Path, frame: pl.DataFrame, own_key: bool = False) -> None:
    folder.mkdir(parents=True)
    for (ride,), part in frame.partition_by("ride", as_dict=True, maintain_order=True).items():
        (part if own_key else part.drop("ride")).write_csv(folder / f"{ride}.csv")


def rows(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(sorted(frame.columns)).sort("row")


def test_three_plain_files_need_no_word(tmp_path: Path) -> None:
    found = inspected_files.find(tiny.write(tmp_path / "rides", FRAMES))
    assert not (found.named or found.joins or found.evidence or found.unclear)
    assert found.train.equals(TRAIN) and found.sample is not None


@pytest.mark.parametrize("own_key", [True, False])
def test_folders_of_files_are_patterns_whose_column_another_table_names(own_key: bool, tmp_path: Path) -> None:
    a_file_a_series(tmp_path / "train", TRAIN.drop("bike"), own_key)
    a_file_a_series(tmp_path / "test", TEST.drop("bike"), own_key)
    TRAIN.vstack(TEST.with_columns(speed=0.0).select(TRAIN.columns)).select("ride", "bike").unique().write_csv(
        tmp_path / "bikes.csv"
    )
    SAMPLE.write_csv(tmp_path / "sample_submission.csv")
    found = inspected_files.find(tmp_path)
    name = "*" if own_key else "{ride}"
    assert found.named == {"train": f"train/{name}.csv", "test": f"test/{name}.csv"}
    assert found.joins == [JoinConfig(file="bikes.csv", on="ride")] and "bike" in found.evidence["join bikes.csv"]
    assert rows(found.train).equals(rows(TRAIN)) and rows(found.test).equals(rows(TEST))


def test_names_that_no_table_lists_are_called_series(tmp_path: Path) -> None:
    a_file_a_series(tmp_path / "train", TRAIN)
    TEST.write_csv(tmp_path / "test.csv")
    found = inspected_files.find(tmp_path)
    assert found.named == {"train": "train/{series}.csv"} and found.sample is None
    assert found.train["series"].n_unique() == TRAIN["ride"].n_unique()


def test_pairs_of_names_and_of_joined_tables(tmp_path: Path) -> None:
    TRAIN.drop("bike", "speed").write_parquet(tmp_path / "train_rides.parquet")
    TEST.drop("bike").write_csv(tmp_path / "test_rides.csv")
    SAMPLE.write_csv(tmp_path / "submission_format.csv")
    for part, frame in (("train", TRAIN), ("test", TEST)):
        frame.select("ride", "bike").unique().sort("ride")[1:].write_csv(tmp_path / f"{part}_rides_about.csv")
    TRAIN.select("ride", "second", "speed").write_csv(tmp_path / "labels.csv")
    TRAIN.select("power", "speed").write_csv(tmp_path / "events.csv")
    found = inspected_files.find(tmp_path)
    assert found.named == {"train": "train_rides", "test": "test_rides", "sample": "submission_format.csv"}
    assert found.joins == [
        JoinConfig(file="labels.csv", on=("ride", "second")),
        JoinConfig(file="{part}_rides_about.csv", on="ride", required=False),
    ]
    assert "lacks" in found.evidence["join {part}_rides_about.csv"]
    assert "speed" in found.train.columns and "speed" not in found.test.columns and "bike" in found.test.columns
    assert [sentence.partition(" is ")[0] for sentence in found.unclear] == ["events.csv"]


def test_a_folder_without_both_tables_is_refused(tmp_path: Path) -> None:
    TRAIN.write_csv(tmp_path / "training.csv")
    with pytest.raises(UserError, match="no train with one of the endings"):
        inspected_files.find(tmp_path)


def test_folders_in_folders_and_names_that_only_begin_alike(tmp_path: Path) -> None:
    for number, (name, frame) in enumerate([("hill", TRAIN[:40]), ("town", TRAIN[40:])]):
        a_file_a_series(tmp_path / "train_rides" / name, frame.with_columns(ride=100 * number + pl.col("ride")))
    TEST.write_parquet(tmp_path / "test_others.parquet")
    found = inspected_files.find(tmp_path)
    assert found.named == {"train": "train_rides/{folder}/{series}.csv", "test": "test_others"}
    assert set(found.train["folder"]) == {"hill", "town"}


def test_a_file_that_is_no_table_is_named_and_does_no_harm(tmp_path: Path) -> None:
    a_file_a_series(tmp_path / "train", TRAIN)
    a_file_a_series(tmp_path / "test", TEST)
    (tmp_path / "notes.csv").write_bytes(b"a,a\n\xff\xfe,1\n")
    SAMPLE.write_csv(tmp_path / "sample_submission.csv")
    found = inspected_files.find(tmp_path)
    assert found.train.height == TRAIN.height
    assert len(found.unclear) == 1 and found.unclear[0].startswith("notes.csv is not used: ")
