"""Auxiliary targets from the file to the store, beside the tables that lack them, and through the verbs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.data import featurize, loading
from foldline.data.store import Store
from foldline.experiment import config

BOTH = 'auxiliary = [{target = ["mood"], kind = "multiclass"}, {target = ["heat"]}]'
HEAD = 'model.0.head={kind = "l1", beside = [{target = "mood", kind = "softmax", weight = 0.5}]}'


def songs(home: Path, folder: Path, level: str = "step", more: str = BOTH) -> Songs:
    """Songs with a mood and a heat, of which the third song has neither."""
    made = Songs("regression", level, more=more)
    made.install(home, folder)
    tables = made.frames()
    number = pl.col("song").rle_id()
    mood = pl.when(number == 2).then(None).when(number % 2 == 0).then(pl.lit("calm")).otherwise(pl.lit("wild"))
    heat = pl.when(number != 2).then(number * 10.0 - 5)
    tiny.write(folder, {**tables, "train": tables["train"].with_columns(mood=mood, heat=heat)})
    return made


def stores(*words: str) -> tuple[Store, Store]:
    chosen = config.load(Path("songs"), list(words))
    table = loading.load(chosen.data)
    return featurize.obtain(table.train, chosen.features, table.levels), featurize.obtain(
        table.test, chosen.features, table.levels
    )


@pytest.mark.parametrize("level", ["step", "series"])
def test_they_are_encoded_by_their_kind_and_may_be_missing(level: str, home: Path, tmp_path: Path) -> None:
    songs(home, tmp_path / "songs", level)
    train, test = stores()
    assert [(each.name, each.kind, each.count, each.classes) for each in train.auxiliary] == [
        ("mood", "multiclass", 2, 2),
        ("heat", "regression", 1, 0),
    ]
    mood, heat = train.auxiliary_columns["mood"], train.auxiliary_columns["heat"]
    assert mood.shape == (len(train.scored), 2)
    first = [mood[train.series_of_answer == series][0].tolist() for series in (0, 1)]
    assert first == [[1, 0], [0, 1]]  # calm, wild
    missing = train.series_of_answer == 2
    assert np.isnan(mood[missing]).all() and np.isnan(heat[missing]).all()
    assert not np.isnan(mood[~missing]).any() and heat[~missing].max() == 225
    assert test.auxiliary == () and test.auxiliary_y is None


def test_a_file_of_labels_may_hold_them(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "songs"
    songs(home, folder, "series", f'{BOTH}\nlabels = "labels"')
    whole = pl.read_csv(folder / "train.csv")
    names = ["song", "answer", "mood", "heat"]
    whole.select(names).unique("song", maintain_order=True).write_csv(folder / "labels.csv")
    whole.drop(names[1:]).write_csv(folder / "train.csv")
    train, _ = stores()
    assert train.auxiliary_columns["heat"][3].tolist() == [25]


def test_they_are_learned_and_never_submitted(home: Path, tmp_path: Path) -> None:
    songs(home, tmp_path / "songs")
    tiny.run("train", "songs", HEAD)
    before = tiny.submission(home, "songs")
    assert before.splitlines()[0] == b"row,answer"
    for stored in (home / "runs" / "cells").glob("*/test-*"):
        stored.unlink()
    tiny.run("infer", "songs")
    assert tiny.submission(home, "songs") == before


def beside(entry: str) -> str:
    return f'model.0.head={{kind = "l1", beside = [{{{entry}}}]}}'


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            beside('target = "air", kind = "l1"'),
            "'air' must be the first column of a [[data.auxiliary]], but these are",
        ),
        (beside('target = "mood", kind = "l1"'), "l1 head does not serve 'mood', which is multiclass: choose softmax."),
        (beside('target = "heat", kind = "l1", weigth = 1.0'), "head.beside[0]: unknown key 'weigth'"),
        (beside('target = "heat", kind = "l1", weight = 0.0'), "beside[0]: weight must be above 0, but is 0.0"),
        (beside('kind = "l1"'), "head.beside[0]: target must be given"),
        (f'{HEAD}|model.0.pretrain={{source = "elsewhere"}}', "leave out pretrain or head.beside"),
        ('data.auxiliary=[{target = ["pitch"]}]', "a column has one role, but pitch is named more than once"),
        ('data.auxiliary=[{target = ["mood", "heat"], kind = "binary"}]', "kind = 'binary' needs one column as target"),
        ('data.auxiliary=[{target = ["mood"], kind = "multilabel"}]', "needs two columns or more"),
        ('data.auxiliary=[{target = ["mood"], kind = "binary"}]', "auxiliary target 'mood': "),
        ('data.auxiliary=[{target = ["moods"]}]', "lacks a column that [data] names"),
        (
            beside('target = "heat", kind = "poisson"'),
            "the head 'poisson' needs targets that are not below 0, but 'heat'",
        ),
    ],
)
def test_refusals(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, expected: str) -> None:
    songs(home, tmp_path / "songs")
    assert main(["train", "songs", *words.split("|")]) == 2
    assert expected in " ".join(capsys.readouterr().err.split())
    assert not (home / "runs" / "cells").exists()


def test_a_form_of_its_own_takes_no_head_beside(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    songs(home, tmp_path / "songs")
    head = '{kind = "gaussian", beside = [{target = "heat", kind = "l1"}]}'
    model = f'model=[{{name = "deepar", form = "autoregressive", head = {head}}}]'
    assert main(["train", "songs", model]) == 2
    assert "leave out beside" in " ".join(capsys.readouterr().err.split())
