"""Jane Street's files against the published rules: the host's data page on partitions, columns and batches."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from helpers.gallery_files import changed

pytestmark = pytest.mark.gallery

FEATURES = [f"feature_{number:02}" for number in range(79)]
RESPONDERS = [f"responder_{number}" for number in range(9)]
ROW = {"date_id": pl.Int16, "time_id": pl.Int16, "symbol_id": pl.Int8}
MEASURED = dict.fromkeys(FEATURES, pl.Float32) | {"feature_09": pl.Int8, "feature_10": pl.Int8, "feature_11": pl.Int16}
TRAIN = ROW | {"weight": pl.Float32} | MEASURED | dict.fromkeys(RESPONDERS, pl.Float32)
TEST = {"row_id": pl.Int64} | ROW | {"weight": pl.Float32, "is_scored": pl.Boolean} | MEASURED
LAGS = ROW | {f"{name}_lag_1": pl.Float32 for name in RESPONDERS}


def check(folder: Path) -> None:
    """Refuse files that the competition would not have."""
    train, ends = [], []
    for number in range(10):
        train.append(part(folder / "train.parquet" / f"partition_id={number}", TRAIN))
        ends += [train[-1]["date_id"].min(), train[-1]["date_id"].max()]
    assert len(list((folder / "train.parquet").iterdir())) == 10 and len(set(ends)) == 20 and ends == sorted(ends)
    rows = pl.concat(train)
    assert rows.select(pl.col("weight").min()).item() > 0
    assert rows.select(RESPONDERS).null_count().sum_horizontal()[0] == 0
    assert rows.select(pl.max_horizontal(pl.col(RESPONDERS).abs().max())).item() <= 5, "responders are clipped"
    days = rows.group_by("date_id", maintain_order=True).agg(pl.col("time_id").unique().sort())
    assert days["date_id"].to_list() == list(range(len(days)))
    assert all(times == list(range(len(times))) for times in days["time_id"].to_list())
    test, lags = part(folder / "test.parquet" / "date_id=0", TEST), part(folder / "lags.parquet" / "date_id=0", LAGS)
    assert set(test.select("date_id", "time_id").rows()) == {(0, 0)}, "one batch, whose days are counted anew"
    assert test["row_id"].to_list() == list(range(len(test)))
    assert set(lags.select(list(ROW)).rows()) <= set(test.select(list(ROW)).rows())
    last = rows.filter(pl.col("date_id") == len(days) - 1)
    assert set(lags["symbol_id"]) <= set(last["symbol_id"]), "who was not there yesterday has no lags"
    sample = pl.read_csv(folder / "sample_submission.csv")
    assert sample.columns == ["row_id", "responder_6"] and sample["row_id"].to_list() == test["row_id"].to_list()
    for name, named, tags in (("feature", FEATURES, 17), ("responder", RESPONDERS, 5)):
        about = pl.read_csv(folder / f"{name}s.csv")
        assert about.columns == [name, *(f"tag_{number}" for number in range(tags))]
        assert about[name].to_list() == named and set(about.dtypes[1:]) == {pl.Boolean}


def part(folder: Path, kinds: dict[str, type[pl.DataType]]) -> pl.DataFrame:
    """Read and check a part of a table: one row a time and symbol, in order."""
    frame = pl.read_parquet(folder / "part-0.parquet", hive_partitioning=False)
    assert list(frame.schema.items()) == list(kinds.items())
    keys = frame.select(list(ROW))
    assert keys.is_unique().all() and keys.equals(keys.sort(list(ROW)))
    return frame


def test_the_files_are_those_of_the_competition(files: Path) -> None:
    check(files)


def test_it_has_the_traps(folder: Path) -> None:
    train = pl.concat([part(path, TRAIN) for path in sorted((folder / "train.parquet").iterdir())])
    test = part(folder / "test.parquet" / "date_id=0", TEST)
    assert set(test["symbol_id"]) - set(train["symbol_id"]), "new symbols"
    whole = train.select(pl.struct("date_id", "time_id").n_unique() * pl.col("symbol_id").n_unique()).item()
    assert len(train) < whole, "symbols that a time lacks"
    first = train.filter(pl.col("date_id") == 0)
    empty = [name for name in FEATURES if first[name].null_count() == len(first)]
    assert empty and train[empty].null_count().max_horizontal()[0] < len(train) / 2, "features that early days lack"
    assert train["feature_39"].null_count() > 0, "and others now and then"
    assert train["responder_6"].abs().max() == 5  # type: ignore[comparison-overlap]


def test_the_checker_finds_what_is_wrong(folder: Path) -> None:
    train, test = folder / "train.parquet" / "partition_id=3", folder / "test.parquet" / "date_id=0"
    for path, change in (
        (train, pl.col("date_id") + 100),
        (train, pl.col("responder_2") * 10),
        (train, pl.col("feature_09").cast(pl.Float32)),
        (train, pl.col("symbol_id").reverse()),
        (test, pl.col("time_id") + 1),
        (test, pl.col("is_scored").cast(pl.Int8)),
        (folder / "lags.parquet" / "date_id=0", pl.col("symbol_id") + 50),
    ):
        with changed(path / "part-0.parquet", change), pytest.raises(AssertionError):
            check(folder)
