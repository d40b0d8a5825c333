"""The dense store: padding by hand, chunks that change no bit, and a key of everything its values depend on."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from foldline.data import store
from foldline.core.errors import UserError
from foldline.data.store import FeaturesConfig
from foldline.data.table import Table
from foldline.data.roles import DataConfig

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
    dense = store.obtain(table(), CONFIG, LEVELS)
    assert dense.names[0] == "x" and dense.x.shape == (3, 3, len(dense.names)) and dense.x.dtype == np.float32
    assert dense.x[:, :, 0].tolist() == [[0, 1, 2], [3, 0, 0], [4, 5, 0]]
    assert dense.static.tolist() == [[0], [1], [2]] and dense.levels == (2,)
    assert dense.lengths.tolist() == [3, 1, 2]
    assert dense.mask.tolist() == [[True] * 3, [True, False, False], [True, True, False]]
    assert dense.scored.tolist() == [[True] * 3, [False] * 3, [False] * 3]
    assert dense.y is not None and dense.y[:, :, 0].tolist() == [[0, 0.5, 1], [1.5, 0, 0], [2, 2.5, 0]]


def test_series_without_targets_have_none(home: Path) -> None:
    unlabelled = Table(Path("test.csv"), DATA, table().frame.drop("y"), table().lengths)
    assert store.obtain(unlabelled, CONFIG, LEVELS).y is None


def test_it_is_opened_and_not_made_again(home: Path) -> None:
    heard: list[tuple[int, int]] = []
    first = store.obtain(table(), CONFIG, LEVELS, lambda *done: heard.append(done))
    again = store.obtain(table(), CONFIG, LEVELS, lambda *done: heard.append(done))
    assert heard == [(3, 3)] and again.path == first.path and np.array_equal(again.x, first.x)
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
    assert store.obtain(table(), config, levels).path != store.obtain(table(), CONFIG, LEVELS).path


def test_the_scaler_is_no_part_of_it(home: Path) -> None:
    scaled = FeaturesConfig(families=CONFIG.families, scaler="none")
    assert store.obtain(table(), scaled, LEVELS).path == store.obtain(table(), CONFIG, LEVELS).path


@pytest.mark.parametrize("rows", [1, 4, 100])
def test_chunks_change_no_bit(home: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = (3, 1, 2, 5, 1, 1, 4)
    config = FeaturesConfig(families=("raw", "integral", "lags", "stats", "static"))
    whole = np.array(store.obtain(table(lengths), config, LEVELS).x)
    monkeypatch.setattr(store, "CHUNK_ROWS", rows)
    monkeypatch.setenv("FOLDLINE_HOME", str(home / "other"))
    assert np.array_equal(store.obtain(table(lengths), config, LEVELS).x, whole)


def test_chunks_are_whole_series_and_cover_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHUNK_ROWS", 10)
    cuts = store.chunks(np.array([4, 4, 4, 30, 1, 9, 2]))
    assert cuts[0][0] == 0 and cuts[-1][1] == 7
    assert all(first < last for first, last in cuts)
    assert all(one[1] == other[0] for one, other in pairwise(cuts))


def test_pad_and_unpad_undo_each_other() -> None:
    lengths, values = np.array([2, 3, 1]), np.arange(12.0).reshape(6, 2)
    padded = store.pad(values, lengths, 4)
    assert padded.shape == (3, 4, 2) and padded[2].tolist() == [[10, 11], [0, 0], [0, 0], [0, 0]]
    assert np.array_equal(store.unpad(padded, lengths), values)


def test_a_feature_too_large_for_float32_is_refused_and_leaves_no_store(home: Path) -> None:
    huge = table()
    huge = Table(huge.path, DATA, huge.frame.with_columns(x=pl.col("x") * 1e300), huge.lengths)
    with pytest.raises(UserError, match=r"must be finite in float32.* in k 0 of"):
        store.obtain(huge, CONFIG, LEVELS)
    assert not list((home / "runs" / "store").iterdir())
