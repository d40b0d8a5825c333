"""LANL's files against the published rules: what the host's page and its answers in the forum say of the recording."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytestmark = pytest.mark.gallery

BLOCK, ROWS = 4_096, 150_000


def check(folder: Path) -> None:
    """Refuse files that the competition would not have."""
    train = pl.read_csv(folder / "train.csv", infer_schema_length=None)
    assert train.columns == ["acoustic_data", "time_to_failure"] and train.dtypes == [pl.Int64, pl.Float64]
    assert train["acoustic_data"].is_between(-(2**15), 2**15 - 1).all() and train["time_to_failure"].min() >= 0
    left = train["time_to_failure"].to_numpy()
    steps = np.diff(left)
    slips, blocks = np.flatnonzero(steps > 0), np.flatnonzero(steps < -1e-5)
    assert len(slips) >= 10, "several quakes"
    assert (left[slips] < 2e-3).all() and (left[slips + 1] > 1e-2).all(), "it jumps where it has come to 0"
    inside = np.ones(len(steps), dtype=bool)
    inside[np.concatenate([slips, blocks])] = False
    assert (steps[inside] < 0).all() and (steps[inside] > -1e-8).all(), "a nanosecond a sample"
    assert np.abs(steps[blocks] + 1e-3).max() < 2e-4, "a millisecond a block"
    bounds = np.sort(np.concatenate([slips, blocks]))
    assert (np.diff(bounds) == BLOCK).mean() > 0.9, "blocks of 4,096 samples"
    assert left[-1] > 1e-3, "recording ends before the last slip"
    sample = pl.read_csv(folder / "sample_submission.csv")
    assert sample.columns == ["seg_id", "time_to_failure"] and set(sample["time_to_failure"]) == {0}
    segments = {path.stem: pl.read_csv(path) for path in sorted((folder / "test").iterdir())}
    assert sorted(sample["seg_id"]) == list(segments)
    for name, segment in segments.items():
        assert re.fullmatch("seg_[0-9a-f]{6}", name)
        assert segment.columns == ["acoustic_data"] and segment.dtypes == [pl.Int64] and segment.height == ROWS


def test_the_files_are_those_of_the_competition(files: Path) -> None:
    check(files)


def test_it_has_the_traps(folder: Path) -> None:
    train = pl.read_csv(folder / "train.csv")
    quake = (train["time_to_failure"].diff() > 0).fill_null(False).cum_sum()
    of_quakes = train.group_by(quake.alias("quake")).agg(pl.col("acoustic_data").mean())["acoustic_data"]
    assert (of_quakes.max() or 0) - (of_quakes.min() or 0) > 1, "a mean that drifts"  # type: ignore[operator]
    assert train["acoustic_data"].abs().max() > 15 * train["acoustic_data"].std(), "single large samples"  # type: ignore[operator]
    sizes = quake.value_counts()["count"]
    assert (sizes.max() or 0) > 1.3 * (sizes.min() or 0), "quakes of different lengths"  # type: ignore[operator]


def test_the_checker_finds_what_is_wrong(folder: Path) -> None:
    segment = next((folder / "test").iterdir())
    for path, change in (
        (segment, pl.all().head(ROWS - 1)),
        (segment, pl.all().cast(pl.Float64)),
        (folder / "sample_submission.csv", pl.col("seg_id").str.replace("seg", "test")),
        (folder / "train.csv", pl.col("time_to_failure") * 2),
        (folder / "train.csv", pl.col("time_to_failure").reverse()),
        (folder / "train.csv", pl.col("acoustic_data").cast(pl.Float64)),
    ):
        content = path.read_bytes()
        table = pl.read_csv(path)
        (table.select(change) if path == segment else table.with_columns(change)).write_csv(path)
        with pytest.raises(AssertionError):
            check(folder)
        path.write_bytes(content)
