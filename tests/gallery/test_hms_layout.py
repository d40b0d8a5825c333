"""HMS' EEG files against the published rules: what the host's data page says of tables, channels, rate and windows."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from helpers.gallery_files import changed

pytestmark = pytest.mark.gallery

LEFT, RIGHT = ["Fp1", "F3", "C3", "P3", "F7", "T3", "T5", "O1"], ["Fp2", "F4", "C4", "P4", "F8", "T4", "T6", "O2"]
CHANNELS = [*LEFT, "Fz", "Cz", "Pz", *RIGHT, "EKG"]
VOTES = [f"{name}_vote" for name in ("seizure", "lpd", "gpd", "lrda", "grda", "other")]
CONSENSUS = ["Seizure", "LPD", "GPD", "LRDA", "GRDA", "Other"]
OF_EEG = ["eeg_id", "eeg_sub_id", "eeg_label_offset_seconds"]
OF_SPECTROGRAM = ["spectrogram_id", "spectrogram_sub_id", "spectrogram_label_offset_seconds"]
RATE, SECONDS = 200, 50


def check(folder: Path) -> None:
    """Refuse files that the competition would not have."""
    train, test, sample = (pl.read_csv(folder / f"{name}.csv") for name in ("train", "test", "sample_submission"))
    assert train.columns == [*OF_EEG, *OF_SPECTROGRAM, "label_id", "patient_id", "expert_consensus", *VOTES]
    assert train["label_id"].n_unique() == train.height
    for ids in (OF_EEG, OF_SPECTROGRAM):
        assert train.select(ids).dtypes == [pl.Int64, pl.Int64, pl.Float64]
        each = train.group_by(ids[0], maintain_order=True).agg(pl.col(*ids[1:]), pl.col("patient_id").n_unique())
        assert (each["patient_id"] == 1).all(), "an EEG is of one patient"
        for _, subs, offsets, _ in each.rows():
            assert subs == list(range(len(subs))) and offsets[0] == 0 and offsets == sorted(set(offsets))
    votes = train.select(VOTES)
    assert set(votes.dtypes) == {pl.Int64} and votes.min_horizontal().min() >= 0 and votes.sum_horizontal().min() >= 1
    for said, *counts in train.select("expert_consensus", *VOTES).rows():
        assert counts[CONSENSUS.index(said)] == max(counts), "the consensus has most votes"
    assert test.columns == ["spectrogram_id", "eeg_id", "patient_id"] and set(test.dtypes) == {pl.Int64}
    assert not set(train["eeg_id"]) & set(test["eeg_id"])
    assert sample.columns == ["eeg_id", *VOTES] and sample["eeg_id"].to_list() == test["eeg_id"].to_list()
    assert (sample.select(pl.sum_horizontal(VOTES) - 1).to_series().abs() < 1e-9).all(), "rows sum to one"
    last = dict(train.group_by("eeg_id").agg(pl.col("eeg_label_offset_seconds").max()).rows())
    rows = {number: eeg(path) for number, path in eegs(folder / "train_eegs").items()}
    assert set(rows) == set(last) and all(rows[name] >= RATE * (SECONDS + offset) for name, offset in last.items())
    tested = {number: eeg(path) for number, path in eegs(folder / "test_eegs").items()}
    assert set(tested) == set(test["eeg_id"]) and set(tested.values()) == {RATE * SECONDS}


def eegs(folder: Path) -> dict[int, Path]:
    """List a folder's files by the number that is their name."""
    return {int(path.stem): path for path in sorted(folder.glob("*.parquet"))}


def eeg(path: Path) -> int:
    """Check a file of an EEG, and count its rows."""
    table = pl.read_parquet(path)
    assert table.columns == CHANNELS and set(table.dtypes) == {pl.Float32}
    assert 5 < table["Cz"].fill_nan(None).std() < 500, "microvolts"  # type: ignore[operator]
    return table.height


def test_the_files_are_those_of_the_competition(files: Path) -> None:
    check(files)


def test_it_has_the_traps(folder: Path) -> None:
    train = pl.read_csv(folder / "train.csv")
    gaps = train.select(pl.col("eeg_label_offset_seconds").diff().over("eeg_id")).to_series().drop_nulls()
    assert gaps.len() and (gaps < SECONDS).all(), "windows of one EEG overlap"
    total = train.select(pl.sum_horizontal(VOTES)).to_series()
    assert (total.min() or 0) < 10 <= (total.max() or 0), "few votes in some rows"  # type: ignore[operator]
    tables = [pl.read_parquet(path) for path in (folder / "train_eegs").glob("*.parquet")]
    assert any(table.select(pl.any_horizontal(pl.all().is_nan().any())).item() for table in tables), "missing values"
    assert len({table.height for table in tables}) > 3, "EEGs of different lengths"


def test_the_checker_finds_what_is_wrong(folder: Path) -> None:
    for name, change in (
        ("train", pl.col("eeg_label_offset_seconds") + 60),
        ("train", pl.lit("Other").alias("expert_consensus")),
        ("train", pl.col("eeg_sub_id") + 1),
        ("train", pl.col("seizure_vote").cast(pl.Float64)),
        ("test", pl.col("eeg_id") + 1),
        ("sample_submission", pl.col("other_vote") * 2),
    ):
        with changed(folder / f"{name}.csv", change), pytest.raises(AssertionError):
            check(folder)
    path = next((folder / "test_eegs").glob("*.parquet"))
    whole = pl.read_parquet(path)
    volts = whole.select((pl.all() * 1e-6).cast(pl.Float32))
    for wrong in (whole.head(9_999), whole.cast(pl.Float64), whole.drop("EKG"), volts):
        wrong.write_parquet(path)
        with pytest.raises(AssertionError):
            check(folder)
    whole.write_parquet(path)
