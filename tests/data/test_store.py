"""The store: rows reached by series, padding by hand, chunks that change no bit, a key of all its values depend on."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from foldline import features
from foldline.core.errors import UserError
from foldline.data import feature_file, featurize
from foldline.data.featurize import FeaturesConfig
from foldline.data.roles import DataConfig
from foldline.data.table import Table

DATA = DataConfig(id="i", key="k", order="t", target=("y",), inputs=("x",), static=("s",), scored="x < 3")
LEVELS = {"s": ("p", "q")}
CONFIG = FeaturesConfig(families=("raw", "static"))


def table(lengths: tuple[int, ...] = (3, 1, 2)) -> Table:
    """x counts the rows; the first series' static value is not among the known ones."""
    rows, number = sum(lengths), np.repeat(np.arange(len(lengths)), lengths)
    frame = pl.DataFrame(
        {
            "i": np.arange(rows),
            "k": number,
            "t": np.arange(rows, dtype=float),
            "x": np.arange(rows, dtype=float),
            "s": [("new", "p", "q")[value % 3] for value in number],
            "y": np.arange(rows) * 0.5,
        }
    )
    return Table(Path("train.csv"), DATA, frame, np.array(lengths))


def test_a_store_by_hand(home: Path) -> None:
    made = featurize.obtain(table(), CONFIG, LEVELS)
    every = np.arange(3)
    x = made.features_padded(every, 3)
    assert made.names[0] == "x" and x.shape == (3, 3, len(made.names)) and x.dtype == np.float32
    assert x[:, :, 0].tolist() == [[0, 1, 2], [3, 0, 0], [4, 5, 0]]
    assert made.features(np.arange(6))[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert made.static.tolist() == [[0], [1], [2]] and made.levels == (2,)
    assert made.lengths.tolist() == [3, 1, 2] and made.offsets.tolist() == [0, 3, 4]
    assert made.mask().tolist() == [[True] * 3, [True, False, False], [True, True, False]]
    assert made.scored.tolist() == [True] * 3 + [False] * 3
    assert made.labelled and made.known.all() and made.y[:, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5]


def test_rows_are_reached_by_series(home: Path) -> None:
    made, some = featurize.obtain(table(), CONFIG, LEVELS), np.array([2, 0])
    assert made.series_of_answer.tolist() == [0, 0, 0, 1, 2, 2] and made.step_of_answer.tolist() == [0, 1, 2, 0, 0, 1]
    assert made.rows(some).tolist() == [4, 5, 0, 1, 2] and made.rows(some[:0]).tolist() == []
    assert made.features(made.rows(some))[:, 0].tolist() == [4, 5, 0, 1, 2]
    assert made.features(np.array([5, 3, 3]))[:, 0].tolist() == [5, 3, 3]
    assert made.features_padded(some, 2)[:, :, 0].tolist() == [[4, 5], [0, 1]]
    assert made.features_padded(some, 5)[:, :, 0].tolist() == [[4, 5, 0, 0, 0], [0, 1, 2, 0, 0]]
    assert made.pad(made.y[:, 0], some, 2).tolist() == [[2, 2.5], [0, 0.5]]
    assert made.mask(some, 2).tolist() == [[True, True], [True, True]]


def test_series_without_targets_have_none(home: Path) -> None:
    unlabelled = Table(Path("test.csv"), DATA, table().frame.drop("y"), table().lengths)
    made = featurize.obtain(unlabelled, CONFIG, LEVELS)
    assert not made.labelled and not made.known.any() and not made.y.any() and made.y.shape == (6, 1)


def test_it_is_opened_and_not_made_again(home: Path) -> None:
    progress: list[tuple[int, int]] = []
    first = featurize.obtain(table(), CONFIG, LEVELS, lambda *done: progress.append(done))
    again = featurize.obtain(table(), CONFIG, LEVELS, lambda *done: progress.append(done))
    assert progress == [(3, 3)] and again.path == first.path and np.array_equal(again.x, first.x)
    assert not again.x.flags.writeable


@pytest.mark.parametrize(
    ("config", "levels"),
    [
        (FeaturesConfig(families=("static", "raw")), LEVELS),
        (FeaturesConfig(families=("raw", "static"), tables={"static": {"pairs": False}}), LEVELS),
        (CONFIG, {"s": ("p", "q", "r")}),
    ],
)
def test_what_its_values_depend_on_makes_another(
    home: Path, config: FeaturesConfig, levels: dict[str, tuple[object, ...]]
) -> None:
    assert featurize.obtain(table(), config, levels).path != featurize.obtain(table(), CONFIG, LEVELS).path


def test_the_scaler_is_no_part_of_it(home: Path) -> None:
    scaled = FeaturesConfig(families=CONFIG.families, scaler="none")
    assert featurize.obtain(table(), scaled, LEVELS).path == featurize.obtain(table(), CONFIG, LEVELS).path


@pytest.mark.parametrize("rows", [1, 4, 100])
def test_chunks_change_no_bit(home: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = (3, 1, 2, 5, 1, 1, 4)
    config = FeaturesConfig(families=("raw", "integral", "lags", "stats", "static"))
    whole = np.array(featurize.obtain(table(lengths), config, LEVELS).x)
    monkeypatch.setattr(feature_file, "CHUNK_ROWS", rows)
    monkeypatch.setenv("FOLDLINE_HOME", str(home / "other"))
    assert np.array_equal(featurize.obtain(table(lengths), config, LEVELS).x, whole)


@pytest.mark.parametrize("rows", [1, 5, 10, 54, 100])
def test_chunks_are_whole_series_and_cover_all(rows: int) -> None:
    cuts = features.series_chunks(np.array([4, 4, 4, 30, 1, 9, 2]), rows)
    assert cuts[0][0] == 0 and cuts[-1][1] == 7
    assert all(first < last for first, last in cuts)
    assert all(one[1] == other[0] for one, other in pairwise(cuts))


def test_a_feature_too_large_for_float32_is_refused_and_leaves_no_store(home: Path) -> None:
    huge = table()
    huge = Table(huge.path, DATA, huge.frame.with_columns(x=pl.col("x") * 1e300), huge.lengths)
    with pytest.raises(UserError, match=r"must be finite in float32.* in k 0 of"):
        featurize.obtain(huge, CONFIG, LEVELS)
    assert not list((home / "runs" / "store").iterdir())


def test_a_test_table_has_a_store_for_each_number_of_classes(home: Path) -> None:
    """They are those of the training table, which may change beside the same test table."""
    data = DataConfig(
        id="i", key="k", order="t", target=("y",), inputs=("x",), static=("s",), kind="multiclass", metric="f1"
    )
    train = Table(Path("train.csv"), data, table().frame.with_columns(y=pl.col("i") % 3), table().lengths)
    made = []
    for classes in ((0, 1, 2), (0, 1)):
        test = Table(Path("test.csv"), data, table().frame.drop("y"), table().lengths, classes=classes)
        made.append(featurize.obtain(test, CONFIG, LEVELS))
        assert made[-1].targets == made[-1].task.classes == len(classes)
    own, others = (replace(train, classes=classes) for classes in ((0, 1, 2), (0, 1, 2, 3)))
    assert featurize.obtain(own, CONFIG, LEVELS).targets == 3
    assert featurize.obtain(others, CONFIG, LEVELS).targets == 4
