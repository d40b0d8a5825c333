"""Simulated gestures: files of Kaggle's layout, the same bytes again, neither trivial nor hopeless to tell apart."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gestures import simulator
from gestures.simulator import GESTURES, LONGEST, SHARES, SHORTEST, SIGNALS, write_competition

FILES = ("train.csv", "test.csv", "sample_submission.csv", "truth.csv")
SERIES, TEST_SERIES = 600, 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gestures")
    write_competition(out, series=SERIES, test_series=TEST_SERIES, seed=7, truth=True)
    return out


@pytest.fixture(scope="module")
def tables(folder: Path) -> dict[str, pl.DataFrame]:
    return {name: pl.read_csv(folder / name) for name in FILES}


def written(folder: Path, seed: int = 1, truth: bool = False) -> dict[str, bytes]:
    write_competition(folder, series=24, test_series=12, seed=seed, truth=truth)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_files_have_kaggles_layout(tables: dict[str, pl.DataFrame]) -> None:
    train, test, sample, truth = tables.values()
    assert train.columns == ["sequence_id", "subject", "t", *SIGNALS, "gesture"]
    assert test.columns == train.columns[:-1]
    assert sample.columns == truth.columns == ["sequence_id", "gesture"]
    assert train["sequence_id"].n_unique() == SERIES and test["sequence_id"].n_unique() == TEST_SERIES
    assert set(train["sequence_id"]) | set(test["sequence_id"]) == set(range(SERIES + TEST_SERIES))
    assert sample["sequence_id"].to_list() == truth["sequence_id"].to_list()
    assert sample["sequence_id"].to_list() == test["sequence_id"].unique(maintain_order=True).to_list()
    assert sample["gesture"].unique().to_list() == [GESTURES[0]]


def test_a_series_is_one_run_of_rows_in_order_with_one_subject_and_one_label(tables: dict[str, pl.DataFrame]) -> None:
    for name in ("train.csv", "test.csv"):
        table = tables[name]
        assert len(table["sequence_id"].rle()) == table["sequence_id"].n_unique()
        constant = [column for column in ("subject", "gesture") if column in table.columns]
        by_series = table.group_by("sequence_id").agg(
            pl.len(), pl.col(constant).n_unique(), first=pl.col("t").first(), least=pl.col("t").diff().min()
        )
        assert by_series.select(pl.col(constant).max()).row(0) == (1,) * len(constant)
        assert by_series["first"].unique().to_list() == [0.0] and by_series["least"].min() > 0.0
        assert by_series["len"].min() >= SHORTEST and by_series["len"].max() <= LONGEST
        assert by_series["len"].n_unique() > 40
        assert table.null_count().sum_horizontal().item() == 0


def test_numbers_have_four_digits_at_most(folder: Path) -> None:
    decimals = (folder / "train.csv").read_text().split("\n")[1].split(",")[2:-1]
    assert all(len(number.partition(".")[2]) <= 4 for number in decimals)
    table = pl.read_csv(folder / "train.csv")
    assert all(table[name].equals(table[name].round(4)) for name in ("t", *SIGNALS))


def test_every_gesture_has_its_share_in_both_files(tables: dict[str, pl.DataFrame]) -> None:
    labels = tables["train.csv"].group_by("sequence_id").agg(pl.col("gesture").first())["gesture"]
    for series in (labels, tables["truth.csv"]["gesture"]):
        counts = dict(series.value_counts().iter_rows())
        assert set(counts) == set(GESTURES)
        assert all(abs(counts[name] / len(series) - share) < 0.01 for name, share in SHARES.items())


def test_no_subject_is_in_both_files(tables: dict[str, pl.DataFrame]) -> None:
    train, test = (set(tables[name]["subject"]) for name in ("train.csv", "test.csv"))
    assert not train & test and len(train) == 30 and len(test) == 15


def test_a_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    once, again, other = (written(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert once == again and set(once) == set(FILES[:3])
    assert once["train.csv"] != other["train.csv"] and once["test.csv"] != other["test.csv"]


def test_the_smallest_competition_has_every_gesture(tmp_path: Path) -> None:
    smallest = 2 * len(GESTURES)
    write_competition(tmp_path, series=smallest, test_series=smallest, seed=0, truth=True)
    for name in ("train.csv", "truth.csv"):
        assert set(pl.read_csv(tmp_path / name)["gesture"]) == set(GESTURES)
    with pytest.raises(ValueError, match=r"12 series at least .* but got series=11, test_series=50"):
        write_competition(tmp_path, series=11, test_series=50, seed=0)


def test_a_failure_leaves_nothing_and_older_files_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(tmp_path, 1) != written(tmp_path, 2)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(pl.DataFrame, "write_csv", stop)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path, 3)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_turn_keeps_lengths_and_goes_the_right_way() -> None:
    ahead = np.array([[1.0], [0.0], [0.0]])
    np.testing.assert_allclose(simulator.turned(ahead, np.array([0.0, 0.0, np.pi / 2])), [[0], [1], [0]], atol=1e-15)
    vectors, angles = np.random.default_rng(0).normal(size=(3, 50)), np.array([0.3, -1.0, 2.0])
    turned = simulator.turned(vectors, angles)
    np.testing.assert_allclose(np.square(turned).sum(axis=0), np.square(vectors).sum(axis=0))
    assert not np.allclose(turned, vectors)


def simple_features(table: pl.DataFrame) -> np.ndarray:
    """Spread of each signal, of its steps, and where in the series its extremes are: (series, 24)."""
    x = pl.col(SIGNALS)
    features = table.group_by("sequence_id", maintain_order=True).agg(
        x.std().name.suffix("_std"),
        x.diff().std().name.suffix("_change"),
        (x.arg_max() / pl.len()).name.suffix("_top"),
        (x.arg_min() / pl.len()).name.suffix("_bottom"),
    )
    return features.drop("sequence_id").to_numpy()


def test_simple_features_beat_the_majority_by_far_but_are_not_perfect(tables: dict[str, pl.DataFrame]) -> None:
    train, truth = simple_features(tables["train.csv"]), tables["truth.csv"]["gesture"].to_numpy()
    labels = tables["train.csv"].group_by("sequence_id", maintain_order=True).agg(pl.col("gesture").first())["gesture"]
    mean, std = train.mean(axis=0), train.std(axis=0)
    known, asked = (train - mean) / std, (simple_features(tables["test.csv"]) - mean) / std
    centroids = np.array([known[(labels == name).to_numpy()].mean(axis=0) for name in GESTURES])
    nearest = np.square(asked[:, None] - centroids).sum(axis=2).argmin(axis=1)
    accuracy = (np.array(GESTURES)[nearest] == truth).mean()
    majority = (truth == labels.mode().sort()[0]).mean()
    assert majority < 0.25
    assert 2 * majority < accuracy < 0.9


def test_subjects_differ_from_each_other(tables: dict[str, pl.DataFrame]) -> None:
    """Gravity shows how each wears the sensor: between subjects it varies more than between the series of one."""
    gravity = tables["train.csv"].group_by("sequence_id", "subject").agg(pl.col("acc_x").mean())
    within = gravity.group_by("subject").agg(pl.col("acc_x").var(), mean=pl.col("acc_x").mean())
    assert within["mean"].var() > 2.0 * within["acc_x"].mean()
