"""Large columns on disk: the same values and types, no file left, and tables that are the same with and without."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers import tiny

from foldline.core import files
from foldline.data import feature_file, featurize, loading, on_disk, parquet_tables, row_lengths
from foldline.data.featurize import FeaturesConfig
from foldline.data.roles import DataConfig

COLUMNS = [
    pl.Series("x", [1.5, float("nan"), None, -0.0]),
    pl.Series("ö", [1, 2**62, None, -3]),
    pl.Series("text", ["a", None, "", "a text that is too long for a view of twelve bytes"]),
    pl.Series("time", [datetime(2026, 3, 1, 12), None] * 2, dtype=pl.Datetime("ns", "UTC")),
    pl.Series("flag", [True, None, False, True]),
    pl.Series("none", [None] * 4, dtype=pl.Float64),
]


@pytest.fixture
def all_on_disk(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every column on disk, and read files in many parts."""
    monkeypatch.setattr(on_disk, "LARGE", -1)
    monkeypatch.setattr(row_lengths, "BLOCK", 100)
    monkeypatch.setattr(parquet_tables, "ROWS", 1)


@pytest.mark.usefixtures("all_on_disk")
@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_a_column_on_disk_is_the_same_and_leaves_no_file(column: pl.Series) -> None:
    kept = on_disk.kept(pl.concat([column, column]))
    assert kept.dtype == column.dtype and kept.n_chunks() == 1
    assert kept.equals(pl.concat([column, column]), check_names=True, null_equal=True)
    assert list(files.runs().iterdir()) == []


@pytest.mark.usefixtures("all_on_disk")
def test_numbers_on_disk_are_mapped_not_copied() -> None:
    values = on_disk.kept(pl.Series([1.0, 2.0])).to_numpy()
    assert not values.flags.owndata and values.tolist() == [1.0, 2.0]
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if files.TEMPORARY in line]
    assert any(line.endswith("(deleted)") for line in mapped)


def test_small_columns_leave_no_trace(home: Path) -> None:
    on_disk.kept(pl.Series([1.0]))
    assert not files.runs().exists()


@pytest.mark.parametrize("large", [-1, 20, 1 << 21])
def test_parts_are_gathered_in_order_and_keep_their_types(
    large: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_disk, "LARGE", large)
    gathered = on_disk.Gathered()
    for part in ([1, 2], [], [3], [0.5], ["a"], [4]):
        gathered.add(pl.Series("x", part, dtype=None if part else pl.Int64))
    parts = gathered.parts()
    assert [value for part in parts for value in part] == [1, 2, 3, 0.5, "a", 4]
    assert all(len(part) for part in parts)


def test_numbers_that_come_in_parts_are_written_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "LARGE", 20)
    gathered = on_disk.Gathered()
    for first in range(0, 40, 4):
        gathered.add(pl.Series("x", range(first, first + 4), dtype=pl.Float64))
    (column,) = gathered.parts()
    assert column.to_list() == list(range(40)) and column.name == "x" and column.n_chunks() == 1
    assert not list((home / "runs").iterdir())
    for same in (column, column.cast(pl.Float64), column.alias("y")):
        assert np.shares_memory(on_disk.kept(same).to_numpy(), column.to_numpy())
    for other in (column[:-1], column[1:], column + 1):
        kept = on_disk.kept(other)
        assert kept.to_list() == other.to_list() and not np.shares_memory(kept.to_numpy(), column.to_numpy())


def test_a_missing_number_among_large_parts_stays_missing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "LARGE", 20)
    gathered = on_disk.Gathered()
    parts: list[list[float | None]] = [[1.0] * 4, [2.0, None, 4.0, 5.0], [6.0] * 4]
    for part in parts:
        gathered.add(pl.Series("x", part, dtype=pl.Float64))
    assert pl.concat(gathered.parts()).to_list() == [value for part in parts for value in part]


def test_no_rows_are_one_empty_part(home: Path) -> None:
    gathered = on_disk.Gathered()
    for _ in range(2):
        gathered.add(pl.Series("x", [], dtype=pl.String))
    assert [(len(part), part.dtype) for part in gathered.parts()] == [(0, pl.String)]


@pytest.mark.parametrize("large", [-1, 1 << 20])
def test_arrays_on_disk_are_the_same_and_leave_no_file(large: int, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "LARGE", large)
    values = np.arange(6, dtype=np.int64).reshape(3, 2)
    kept, zeros = on_disk.kept_array(values), on_disk.zeros((2, 3))
    assert np.array_equal(kept, values) and kept.dtype == values.dtype and not zeros.any() and zeros.shape == (2, 3)
    zeros[1] = 7  # they can be written to
    assert zeros.sum() == 21
    assert np.array_equal(on_disk.stacked((values + number for number in range(2)), 2), np.stack([values, values + 1]))
    frame = pl.LazyFrame({"a": [1, 2], "b": ["x", None]})
    assert on_disk.collected(frame).equals(frame.collect())
    assert not list((home / "runs").glob(".rows.*")) if (home / "runs").exists() else large > 0


def files_of(folder: Path, layout: str) -> DataConfig:
    """Write rides whose rows are mixed, with text as key, and return what [data] says of them."""
    table = tiny.rides(1, 5, 6, seed=0).sample(fraction=1.0, shuffle=True, seed=1).sort("second", maintain_order=True)
    table = table.with_columns(ride=pl.format("ride {}", pl.col("ride")), bike=pl.col("bike").replace(20, None))
    table = table.with_columns(power=pl.when(pl.col("second") == 2).then(None).otherwise(pl.col("power")))
    folder.mkdir()
    more: dict[str, str] = {}
    if layout == "parquet":
        table.write_parquet(folder / "train.parquet")
    elif layout == "files":
        more = {"train": "train/*.csv"}
        (folder / "train").mkdir()
        for number, part in enumerate(table.iter_slices(10)):
            part.write_csv(folder / "train" / f"{number}.csv")
    else:
        table.write_csv(folder / "train.csv")
    return DataConfig(
        source=str(folder),
        **tiny.ROLES,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("layout", ["csv", "parquet", "files"])
def test_tables_and_stores_are_the_same_on_disk_and_in_memory(
    layout: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, found = files_of(tmp_path / "files", layout), []
    for place in ("memory", "disk"):
        monkeypatch.setenv("FOLDLINE_HOME", str(tmp_path / place))
        if place == "disk":
            monkeypatch.setattr(on_disk, "LARGE", -1)
            monkeypatch.setattr(row_lengths, "BLOCK", 100)
            monkeypatch.setattr(parquet_tables, "ROWS", 1)
            monkeypatch.setattr(feature_file, "CHUNK_ROWS", 2)  # each series is a long one
        source = loading.assemble.source_of(data, tmp_path / "files", "train")
        table = loading.load_table(source, data, labelled=True)
        store = featurize.obtain(table, FeaturesConfig(), {"bike": (28,)})
        found.append((table, store))
    (one, stored), (other, again) = found
    assert one.frame.equals(other.frame) and one.frame.schema == other.frame.schema
    assert one.file_rows is not None and np.array_equal(one.file_rows, np.asarray(other.file_rows))
    assert one.fingerprint == other.fingerprint and stored.path.name == again.path.name
    for name in ("x", "y", "static", "lengths", "scored"):
        assert (stored.path / f"{name}.npy").read_bytes() == (again.path / f"{name}.npy").read_bytes()


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_distinct_values_come_in_the_order_of_the_column(column: pl.Series, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "ROWS", 3)
    twice = pl.concat([column, column.reverse()])
    assert on_disk.distinct(twice).equals(twice.unique(maintain_order=True), null_equal=True)


def test_numbers_that_nobody_finishes_leave_the_disk(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "LARGE", 1)
    written = on_disk._Written(numbers := pl.Series("a", [1.0, 2.0]))
    written.add(numbers)
    handle = written._handle
    assert os.fstat(handle).st_size == 16
    del written
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(handle)
