"""A call that is killed while it computes features is gone on with, and leaves the bytes that it would have left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from foldline.core import artefacts, files
from foldline.data import feature_file, featurize, store
from foldline.data.featurize import FeaturesConfig
from foldline.data.roles import DataConfig
from foldline.data.table import Table

DATA = DataConfig(id="i", key="k", order="t", target=("y",), inputs=("x",), static=("s",))
LEVELS = {"s": (0, 1)}
CONFIG = FeaturesConfig(families=("raw", "integral", "lags", "static"))
LENGTHS = np.array([3, 3, 4, 5, 3, 3, 4, 3])  # of eight series, each a chunk


class Killed(BaseException):
    """Stands for the end of the process: no handler of errors sees it."""


@pytest.fixture
def computed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The first row of each chunk that is computed; chunks are single series, and a note is made after each."""
    found: list[int] = []
    at_once = feature_file.at_once

    def counted(made: feature_file.Made, rows: pl.DataFrame) -> np.ndarray:
        found.append(int(rows["t"][0]))
        return at_once(made, rows)

    monkeypatch.setattr(feature_file, "CHUNK_ROWS", 3)
    monkeypatch.setattr(feature_file, "PART_ROWS", 1)
    monkeypatch.setattr(feature_file, "at_once", counted)
    yield found


def table() -> Table:
    rows, number = int(LENGTHS.sum()), np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    x = np.random.default_rng(0).normal(size=rows)
    columns = {"i": np.arange(rows), "k": number, "t": np.arange(rows, dtype=float), "x": x, "s": number % 2, "y": x}
    return Table(Path("train.csv"), DATA, pl.DataFrame(columns), LENGTHS)


def killed_after(chunks: int) -> Path:
    """Begin a store, and end when so many chunks are written; returns the folder that it has left."""

    def on_progress(done: int, total: int) -> None:
        if done == chunks:
            raise Killed

    with pytest.raises(Killed):
        featurize.obtain(table(), CONFIG, LEVELS, on_progress)
    (draft,) = (files.runs() / "store").iterdir()
    return draft


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def whole(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Make the store elsewhere, at one go."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("FOLDLINE_HOME", str(home / "whole"))
        return contents(featurize.obtain(table(), CONFIG, LEVELS).path)


@pytest.mark.parametrize("chunks", [1, 5, 8])
def test_a_killed_call_is_gone_on_with(
    home: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch, chunks: int
) -> None:
    expected, begins = whole(home, monkeypatch), np.append(0, np.cumsum(LENGTHS))
    killed_after(chunks)
    computed.clear()
    made = featurize.obtain(table(), CONFIG, LEVELS)
    assert sorted(computed) == begins[chunks:-1].tolist()  # the first ones are there
    assert contents(made.path) == expected and not list(made.path.parent.glob(".*"))


def test_what_is_not_as_it_was_written_is_computed_again(
    home: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole(home, monkeypatch)
    draft = killed_after(5)
    size = (len(expected["x.npy"]) - 128) // LENGTHS.sum()  # bytes of a row, behind the header
    with (draft / "x.npy").open("r+b") as stream:
        stream.seek(128 + size * LENGTHS[:2].sum())  # the first byte of the third series
        stream.write(b"\xff")
    computed.clear()
    made = featurize.obtain(table(), CONFIG, LEVELS)
    assert sorted(computed) == np.cumsum(LENGTHS)[1:-1].tolist() and contents(made.path) == expected


def test_a_call_that_is_killed_before_the_store_has_its_name_is_gone_on_with(
    home: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole(home, monkeypatch)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(Killed))
        featurize.obtain(table(), CONFIG, LEVELS)
    made = featurize.obtain(table(), CONFIG, LEVELS)
    assert contents(made.path) == expected and not artefacts.damage(made.path / store.MARK)


@pytest.mark.parametrize("text", ["", "{}", '{"chunks": [[128, "00"]]}'])
def test_notes_that_cannot_be_read_are_none(
    home: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    expected = whole(home, monkeypatch)
    (killed_after(5) / feature_file.PARTS).write_text(text)
    computed.clear()
    assert contents(featurize.obtain(table(), CONFIG, LEVELS).path) == expected and len(computed) == len(LENGTHS)
