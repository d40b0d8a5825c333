"""The predictor: what it answers is what `infer` writes, from any thread, and nothing is left of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
import tiny_windows
import torch
from tiny_classes import Songs
from tiny_targets import Birds

from foldline.core.errors import UserError
from foldline.serve import Predictor, load
from foldline.serve.predictor import MANIFEST

NEARLY = 1e-6  # of numbers around 1: last bits of networks depend on how many series they see at once


@pytest.fixture
def test_rows() -> pl.DataFrame:
    """The rides to predict."""
    return tiny.frames()["test"]


def submitted(home: Path, name: str = "rides") -> pl.DataFrame:
    """Read what `train` has submitted, which is what `infer` writes."""
    return pl.read_csv(home / "runs" / name / "latest" / "submission.csv")


def assert_alike(answers: pl.DataFrame, expected: pl.DataFrame) -> None:
    """Compare numbers nearly, and labels and ids exactly."""
    assert answers.columns == expected.columns
    for name in expected.columns:
        if expected[name].dtype.is_float():
            np.testing.assert_allclose(answers[name], expected[name], atol=NEARLY)
        else:
            assert answers[name].to_list() == expected[name].to_list()


def test_a_table_is_answered_as_by_infer(trained: Path, test_rows: pl.DataFrame) -> None:
    assert_alike(load("rides").predict(test_rows), submitted(trained))


def test_a_series_alone_is_answered_as_in_the_table(trained: Path, test_rows: pl.DataFrame) -> None:
    predictor = load("rides")
    alone = pl.concat(map(predictor.predict, test_rows.partition_by("ride", maintain_order=True)))
    assert_alike(alone, submitted(trained))


def test_answers_stand_in_the_order_of_the_rows_that_came(trained: Path, test_rows: pl.DataFrame) -> None:
    shuffled = test_rows.sample(fraction=1.0, shuffle=True, seed=7)
    answers = load("rides").predict(shuffled)
    assert answers["row"].to_list() == shuffled["row"].to_list() != test_rows["row"].to_list()
    assert_alike(answers.sort("row"), submitted(trained))


def test_series_come_in_the_order_of_their_first_rows(home: Path, tmp_path: Path) -> None:
    songs = Songs("multiclass", metric="accuracy")
    songs.install(home, tmp_path / "songs")
    tiny.run("train", "songs")
    rows = songs.frames()["test"].sample(fraction=1.0, shuffle=True, seed=1)
    answers = load("songs").predict(rows)
    assert answers["song"].to_list() == rows["song"].unique(maintain_order=True).to_list()
    assert_alike(answers.sort("song"), submitted(home, "songs").sort("song"))
    assert answers.schema == {"song": pl.String, "answer": pl.String}  # a label, as training has it


def test_views_are_averaged_as_in_training(home: Path, tmp_path: Path) -> None:
    """Out-of-fold, of test and served: by cells of their own, which know that they predict so."""
    songs = Songs("multiclass", "step", metric="log_loss", probabilities=True)
    songs.install(home, tmp_path / "songs")
    only = "model=[{name = 'hybrid', width = 4, blocks = [{kind = 'conv', kernel = 3}]}]"
    tiny.run("train", "songs", only)
    plain = submitted(home, "songs")
    tiny.run("train", "songs", only, "train.tta={reverse = true, flip = ['pitch'], scale = [0.9]}")
    assert not submitted(home, "songs").equals(plain)
    assert_alike(load("songs").predict(songs.frames()["test"]), submitted(home, "songs"))


def test_probabilities_have_a_column_a_class(home: Path, tmp_path: Path) -> None:
    songs = Songs("multiclass", "step", metric="log_loss", probabilities=True)
    songs.install(home, tmp_path / "songs")
    tiny.run("train", "songs")
    answers = load("songs").predict(songs.frames()["test"])
    assert_alike(answers, submitted(home, "songs"))
    assert answers.schema == {"row": pl.Int64} | dict.fromkeys(songs.labels, pl.Float64)


def test_several_targets_are_answered_together(home: Path, tmp_path: Path) -> None:
    birds = Birds()
    birds.install(home, tmp_path / "birds")
    tiny.run("train", "birds")
    predictor = load("birds")
    answers = predictor.predict(birds.frames()["test"])
    expected = submitted(home, "birds")
    assert predictor.columns == answers.columns[1:] and set(expected.columns) == set(answers.columns)
    assert_alike(answers.select(expected.columns), expected)


def test_windows_are_series(home: Path, tmp_path: Path) -> None:
    source = tiny.write(tmp_path / "bridge", tiny_windows.frames())
    tiny.configure(home, "bridge", tiny_windows.CONFIG.format(level=tiny_windows.BY_ROWS, source=source, more=""))
    tiny.run("train", "bridge")
    assert_alike(load("bridge").predict(tiny_windows.frames()["test"]), submitted(home, "bridge"))


def test_windows_count_their_time_from_their_own_start(home: Path, tmp_path: Path) -> None:
    """As those of training do: a network sees the times of all steps."""
    tables = tiny_windows.frames()
    tables["test"] = tables["test"].with_columns(pl.col("second") + 100.0)
    tiny_windows.install(home, tmp_path / "bridge", tables)
    network = '{name = "hybrid", width = 4, blocks = [{kind = "conv", kernel = 3}]}'
    tiny.run("train", "bridge", f"model=[{network}]", "train.device=cpu", "train.epochs=1", "train.batch=4")
    assert_alike(load("bridge").predict(tables["test"]), submitted(home, "bridge"))


def test_a_table_without_rows_has_no_answers(trained: Path, test_rows: pl.DataFrame) -> None:
    predictor = load("rides")
    answers = predictor.predict(test_rows.clear())
    assert answers.height == 0 and answers.schema == predictor.predict(test_rows).schema


def test_threads_get_the_same_bits_and_the_process_stays_as_it_is(trained: Path, test_rows: pl.DataFrame) -> None:
    predictor = load("rides")
    series = test_rows.partition_by("ride", maintain_order=True)
    expected = [predictor.predict(each) for each in series]
    before = (torch.get_num_threads(), torch.is_grad_enabled(), tiny.tree(trained))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(predictor.predict, series * 8))
    assert all(one.equals(other) for one, other in zip(found, expected * 8, strict=True))
    assert (torch.get_num_threads(), torch.is_grad_enabled(), tiny.tree(trained)) == before


def test_threads_of_a_cell_are_not_set(trained: Path, test_rows: pl.DataFrame) -> None:
    """Cells are trained with one thread; whoever serves them may have another number."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        load("rides").predict(test_rows)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_it_loads_once(trained: Path, test_rows: pl.DataFrame) -> None:
    predictor = load("rides")
    expected = predictor.predict(test_rows)
    for weights in (trained / "runs" / "cells").glob("*/*"):
        weights.unlink()
    assert predictor.predict(test_rows).equals(expected)


def test_it_loads_and_answers_in_a_thread(trained: Path, test_rows: pl.DataFrame) -> None:
    found: list[pl.DataFrame] = []
    thread = threading.Thread(target=lambda: found.append(load("rides").predict(test_rows)))
    thread.start()
    thread.join()
    assert_alike(found[0], submitted(trained))


def test_a_bundle_is_loaded_where_it_lies(
    trained: Path, test_rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.run("bundle", "rides", f"out={tmp_path / 'bundle'}")
    monkeypatch.setenv("FOLDLINE_HOME", str(tmp_path / "elsewhere"))
    dataset = tmp_path / "bundle" / "dataset"
    assert (dataset / MANIFEST).is_file()
    before = tiny.tree(dataset)
    assert_alike(load(dataset).predict(test_rows), submitted(trained))
    assert tiny.tree(dataset) == before and not (tmp_path / "elsewhere").exists()


def test_what_was_never_trained_is_refused(home: Path) -> None:
    with pytest.raises(UserError, match=r"no trained experiment 'nothing'.*train nothing"):
        load("nothing")


def test_predictions_from_outside_can_not_be_served(trained: Path) -> None:
    predictor = load("rides")
    assert isinstance(predictor, Predictor)
    rows = pl.read_csv(trained / "runs" / "rides" / "latest" / "submission.csv")
    train = tiny.frames()["train"].select("row", "speed")
    train.write_csv(trained / "oof.csv")
    rows.write_csv(trained / "test.csv")
    tiny.run("blend", "rides", "--outside", f"friend={trained / 'oof.csv'},{trained / 'test.csv'}")
    with pytest.raises(UserError, match="friend, whose predictions came from outside"):
        load("rides")
