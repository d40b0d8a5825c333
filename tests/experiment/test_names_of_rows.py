"""Whole runs on files that store ids and keys as other types than ours: the same submission, in the sample's print."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import tiny

LIGHTGBM = 'model=[{name = "lightgbm", rounds = 5, min_data_in_leaf = 2}]'  # takes a second


def submitted(home: Path, tmp_path: Path, name: str, tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Train on Parquet files; the submission, which is one, too, its ids as text."""
    source = tmp_path / name
    source.mkdir()
    for stem, table in tables.items():
        table.write_parquet(source / f"{stem}.parquet")
    tiny.install(home, source, name)
    tiny.run("train", name, LIGHTGBM)
    found = pl.read_parquet(home / "runs" / name / "latest" / "submission.parquet")
    return found.with_columns(pl.col("row").cast(pl.String))


@pytest.mark.parametrize("kind", [pl.Float64, pl.UInt32, pl.String])
def test_the_types_of_ids_and_keys_change_no_prediction(kind: type[pl.DataType], home: Path, tmp_path: Path) -> None:
    tables = tiny.frames()
    expected = submitted(home, tmp_path, "plain", tables)
    other = {
        "train": tables["train"].with_columns(pl.col("ride").cast(pl.Float64)),
        "test": tables["test"].with_columns(pl.col("row", "ride").cast(kind)),
        "sample_submission": tables["sample_submission"].with_columns(pl.format("{}.0", "row").alias("row")),
    }
    got = submitted(home, tmp_path, "other", other)
    assert got["row"].to_list() == [f"{row}.0" for row in expected["row"]]
    assert got["speed"].equals(expected["speed"])
