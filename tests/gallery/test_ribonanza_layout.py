"""Ribonanza's files against the published rules: what the host's data page and scripts say of columns and blanks."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers.gallery_files import changed, metric_of

pytestmark = pytest.mark.gallery

ABOUT = ["sequence_id", "sequence", "experiment_type", "dataset_name", "reads", "signal_to_noise", "SN_filter"]
VALUES = [f"reactivity_{place:04}" for place in range(1, 207)]
ERRORS = [f"reactivity_error_{place:04}" for place in range(1, 207)]
AHEAD, BEHIND = 26, 20  # positions without a measurement
ANSWERS = ["reactivity_DMS_MaP", "reactivity_2A3_MaP"]


def check(folder: Path) -> None:
    """Refuse files that the competition would not have."""
    train = read(folder / "train_data.csv")
    measured(train)
    test = read(folder / "test_sequences.csv")
    assert test.columns == ["id_min", "id_max", "sequence_id", "sequence", "future"]
    molecules(test)
    lengths = test["sequence"].str.len_chars()
    assert (test["id_max"] - test["id_min"] + 1 == lengths).all() and test["id_min"][0] == 0
    assert (test["id_min"][1:] == test["id_max"][:-1] + 1).all(), "ids run on from molecule to molecule"
    assert set(test["future"]) <= {0, 1} and not test["sequence_id"].is_duplicated().any()
    sample = read(folder / "sample_submission.csv")
    assert sample.columns == ["id", *ANSWERS] and sample["id"].to_list() == list(range(int(lengths.sum())))
    for name, sequence in {
        *train.select("sequence_id", "sequence").rows(),
        *test.select("sequence_id", "sequence").rows(),
    }:
        path = folder / "Ribonanza_bpp_files" / "extra_data" / name[0] / name[1] / name[2] / f"{name}.txt"
        pairing(np.loadtxt(path, ndmin=2), len(sequence))


def read(path: Path) -> pl.DataFrame:
    """Read a table."""
    return pl.read_csv(path, infer_schema_length=None)


def molecules(rows: pl.DataFrame) -> None:
    """Check letters, and that ids are their hash."""
    assert rows["sequence"].str.contains("^[ACGU]+$").all()
    hashes = [md5(text.encode(), usedforsecurity=False).hexdigest()[:12] for text in rows["sequence"]]
    assert rows["sequence_id"].to_list() == hashes


def measured(train: pl.DataFrame) -> None:
    """Check the rows of train_data.csv."""
    assert train.columns == [*ABOUT, *VALUES, *ERRORS]
    molecules(train)
    kinds = train.group_by("sequence_id").agg(pl.col("experiment_type").value_counts(sort=True).struct.field("count"))
    assert set(train["experiment_type"]) == {"2A3_MaP", "DMS_MaP"}
    assert all(len(counts) == 2 and counts[0] == counts[1] for counts in kinds["count"]), "each in both experiments"
    enough = (train["signal_to_noise"] > 1) & (train["reads"] > 100)
    assert (train["SN_filter"] == enough.cast(pl.Int64)).all()
    values = train.select(pl.col(VALUES).cast(pl.Float64)).to_numpy()
    errors = train.select(pl.col(ERRORS).cast(pl.Float64)).to_numpy()
    assert (np.isnan(values) == np.isnan(errors)).all() and np.nanmin(errors) > 0
    place, length = np.arange(206), train["sequence"].str.len_chars().to_numpy()[:, None]
    blank = (place < AHEAD) | (place >= length - BEHIND)
    assert length.max() <= 206 and np.isnan(values[blank]).all(), "blank at both ends, and behind a molecule"
    assert np.isfinite(values[~blank]).mean() > 0.9


def pairing(lines: np.ndarray, length: int) -> None:
    """Check pairs of positions with their probabilities, (lines, 3)."""
    one, other, share = lines.T
    assert one.min() >= 1 and other.max() <= length and (one < other).all()
    sums = np.bincount(np.concatenate([one, other]).astype(int), np.tile(share, 2))
    assert share.min() > 0 and sums.max() <= 1 + 1e-9, "a base pairs with one other"


def test_the_files_are_those_of_the_competition(files: Path) -> None:
    check(files)


def test_it_has_the_traps(folder: Path) -> None:
    train, test = read(folder / "train_data.csv"), read(folder / "test_sequences.csv")
    assert set(train["sequence_id"]) & set(test["sequence_id"]), "molecules of training in test"
    assert test["sequence"].str.len_chars().max() == 457 > train["sequence"].str.len_chars().max()  # type: ignore[operator]
    assert set(train["SN_filter"]) == {0, 1}
    values = train.select(pl.col(VALUES).cast(pl.Float64)).to_numpy()
    assert np.nanmin(values) < 0 and np.nanmax(values) > 1, "truth is not clipped in training"
    assert len(train) > 2 * train["sequence_id"].n_unique(), "some were measured twice"
    length = train["sequence"].str.len_chars().to_numpy()[:, None]
    inside = (np.arange(206) >= AHEAD) & (np.arange(206) < length - BEHIND)
    assert np.isnan(values[inside]).any(), "blank here and there"


def test_the_metric_is_the_published_one() -> None:
    pandas, rng = pytest.importorskip("pandas"), np.random.default_rng(0)
    truth, said = rng.normal(0.5, 1, size=(50, 2)), rng.uniform(size=(50, 2))
    truth[rng.uniform(size=truth.shape) < 0.2] = np.nan
    passed = (rng.uniform(size=50) < 0.7).astype(int)
    errors = []
    for row, known in enumerate(passed):
        if known and not np.isnan(truth[row]).any():
            errors += [abs(min(max(value, 0), 1) - said[row, column]) for column, value in enumerate(truth[row])]
    frames = [pandas.DataFrame({"id": range(50), **dict(zip(ANSWERS, each.T, strict=True))}) for each in (truth, said)]
    found = metric_of("ribonanza")(frames[0].assign(SN_filter=passed), frames[1], "id")
    assert found == pytest.approx(np.mean(errors), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("train_data", pl.lit(0.5).alias("reactivity_0026")),
        ("train_data", pl.col("sequence").str.replace("A", "T")),
        ("train_data", pl.lit("DMS_MaP").alias("experiment_type")),
        ("train_data", pl.lit(1).alias("SN_filter")),
        ("train_data", pl.col("reactivity_error_0100") * -1),
        ("test_sequences", pl.col("id_min") + 1),
        ("test_sequences", pl.col("sequence_id").str.reverse()),
        ("sample_submission", pl.col("id") + 1),
    ],
)
def test_the_checker_finds_what_is_wrong(name: str, change: pl.Expr, folder: Path) -> None:
    with changed(folder / f"{name}.csv", change), pytest.raises(AssertionError):
        check(folder)
