"""Answers that can't be learned, submitted or scored are refused before training; what is only rare is said."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import tiny
import tiny_windows
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.data import folds, loading
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.roles import DataConfig
from foldline.data.windows import WindowCutsConfig
from foldline.experiment import config as configs
from foldline.experiment import target_checks

pytestmark = pytest.mark.usefixtures("few_resamples")


def refused(home: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["train", "songs", *words]) == 2
    assert not (home / "runs" / "cells").exists()
    return " ".join(capsys.readouterr().err.split())


def changed(songs: Songs, home: Path, folder: Path, stem: str, *columns: pl.Expr) -> None:
    songs.install(home, folder / "songs")
    frames = songs.frames()
    tiny.write(folder / "songs", {**frames, stem: frames[stem].with_columns(*columns)})


def test_a_label_of_the_sample_that_training_has_not(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = pl.when(pl.col("song") == "s502").then(pl.lit("owl")).otherwise("answer").alias("answer")
    changed(Songs("multiclass"), home, tmp_path, "sample_submission", odd)
    assert "holds 'owl', which no training series has" in refused(home, capsys)
    changed(Songs("multiclass"), home, tmp_path, "sample_submission", pl.lit("?").alias("answer"))
    tiny.run("train", "songs")  # one label for all rows is to be filled in


def test_a_class_of_the_sample_that_training_has_not(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    songs = Songs("multiclass", metric="log_loss", probabilities=True)
    changed(songs, home, tmp_path, "sample_submission", pl.lit(0.0).alias("owl"))
    assert "a column for each label of the training table, but has 1 more: owl" in refused(home, capsys)


def test_thresholds_by_a_column_of_numbers(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They would be one for all: numbers have no codes."""
    songs, site = Songs("binary", metric="f1"), pl.col("site").replace_strict({"hill": 1, "river": 2})
    songs.install(home, tmp_path / "songs")
    tables = {name: frame.with_columns(site=site) for name, frame in songs.frames().items() if "site" in frame.columns}
    tiny.write(tmp_path / "songs", tables)
    tiny.run("train", "songs", "--dry-run", "post.thresholds_by=site")
    said = refused(home, capsys, "post.thresholds_by=site", "data.static_numeric=['site']")
    assert "post.thresholds_by = 'site' is a static column of numbers" in said


def test_weights_that_are_0_in_all_that_a_fold_is_fitted_on(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All folds but the one of the only series with a weight would learn nothing of it."""
    songs = Songs("regression")
    songs.install(home, tmp_path / "songs")
    train = songs.frames()["train"]
    weight = (pl.col("song") == train["song"][0]).cast(pl.Float64)
    tiny.write(tmp_path / "songs", {"train": train.with_columns(weight=weight)})
    assert "'weight' is 0 in all scored series that models of fold" in refused(home, capsys, "data.weight=weight")


def test_a_class_of_one_series_and_one_of_fewer_than_folds(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rare = pl.col("song").replace_strict({"s1": "owl", "s4": "kite", "s7": "kite"}, default=pl.col("answer"))
    songs = Songs("multiclass", metric="accuracy")
    changed(songs, home, tmp_path, "train", rare.alias("answer"))
    path = home / "configs" / "songs.toml"
    path.write_text(path.read_text().replace('classes = ["wren", "robin & co", "tit"]\n', ""))
    tiny.run("train", "songs", "folds.k=3", "model.0.label=net")
    said = " ".join(capsys.readouterr().err.split())
    assert "owl: one of the series only" in said and "kite (2): fewer series than the 3 folds" in said


def test_classes_of_windows_of_one_series_are_not_rare_where_folds_go_by_time(tmp_path: Path) -> None:
    rows = tiny_windows.recording("bridge", 40, seed=0).with_columns(strain=pl.int_range(pl.len()) // 4 % 2)
    rows.write_csv(tmp_path / "train.csv")
    data = DataConfig(
        level="window",
        windows=WindowCutsConfig(length=4),
        key="place",
        order="second",
        inputs=("load",),
        target=("strain",),
        kind="binary",
        metric="f1",
    )
    table = loading.load_table(tmp_path / "train.csv", data, labelled=True)
    made = folds.make(tmp_path / "folds.csv", FoldsConfig(kind="time", k=2), table, save=False)
    assert target_checks.rare_classes(table, made) == []


@pytest.mark.parametrize(
    ("kind", "way_out"),
    [("group", "Folds of kind 'stratified-group', or fewer of them"), ("stratified-group", "Fewer folds (folds.k)")],
)
def test_a_metric_that_is_not_defined_in_a_fold(
    kind: str, way_out: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = pl.when(pl.col("song") == "s1").then(pl.lit("alarm")).otherwise(pl.lit("calm")).alias("answer")
    changed(Songs("binary", metric="auc"), home, tmp_path, "train", one)
    tiny.run("train", "songs", f"folds.kind={kind}")
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "has no auc of its own (auc needs both classes" in said
        and f"pools the folds, and is the one to go by. {way_out}" in said
    )


@pytest.mark.parametrize(
    ("kind", "metric", "answer"),
    [("binary", "f1", "probability"), ("multiclass", "log_loss", "label"), ("ordinal", "qwk", "probability")],
)
def test_an_answer_that_the_metric_does_not_score(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, metric: str, answer: str
) -> None:
    Songs(kind, metric=metric, more=f'answer = "{answer}"').install(home, tmp_path / "songs")
    assert f"data.answer = '{answer}' is not what {metric} scores" in refused(home, capsys)


@pytest.mark.parametrize("head", ["poisson", "tweedie"])
def test_heads_of_counts_refuse_targets_below_0(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], head: str
) -> None:
    changed(Songs("regression"), home, tmp_path, "train", pl.col("answer") - 1.5)
    said = refused(home, capsys, f'model.0.head={{kind = "{head}"}}')
    assert f"the head '{head}' needs targets that are not below 0, but 'answer' goes down to -1." in said


DEFAULTS = {
    "binary": "bce",
    "multilabel": "bce",
    "multiclass": "softmax",
    "distribution": "softmax",
    "ordinal": "ordinal",
}


@pytest.mark.parametrize("kind", DEFAULTS)
@pytest.mark.parametrize("name", ["third_place", "tft", "esrnn", "first_place"])
def test_systems_get_the_head_of_the_kind(home: Path, tmp_path: Path, kind: str, name: str) -> None:
    path = Songs(kind).install(home, tmp_path / "songs")
    text = path.read_text()
    path.write_text(f'{text.split("[[model]]")[0]}[[model]]\nname = "{name}"\n')
    assert configs.load(path).models[0].params["head"] == {"kind": DEFAULTS[kind]}


def test_numbers_keep_the_heads_of_systems(home: Path, tmp_path: Path) -> None:
    path = Songs("regression", "step").install(home, tmp_path / "songs")
    head = f"{path.read_text().split('[[model]]')[0]}[[model]]\nname = "
    for name, kind in (("third_place", "l1"), ("tft", "quantile"), ("esrnn", "quantile"), ("deepar", "gaussian")):
        path.write_text(f'{head}"{name}"\n')
        assert configs.load(path).models[0].params["head"]["kind"] == kind
    assert "aux" in configs.load(path, ["model.0.name=third_place"]).models[0].params["head"]


def test_a_system_that_predicts_numbers_only_says_so(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Songs("binary").install(home, tmp_path / "songs")
    path.write_text(f'{path.read_text().split("[[model]]")[0]}[[model]]\nname = "deepar"\n')
    assert "deepar predicts numbers only" in refused(home, capsys)


@pytest.mark.parametrize("kind", ["multilabel", "distribution", "regression"])
def test_a_series_of_which_only_some_targets_are_given(
    kind: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not unlabelled: what is given would not be learned, and nobody told."""
    songs = Songs(kind, targets=("calls", "rests") if kind == "regression" else ())
    missing = songs.target[1]
    empty = pl.when(pl.col("song") != "s3").then(missing).alias(missing)
    changed(songs, home, tmp_path, "train", empty)
    said = refused(home, capsys)
    assert f"song s3: '{missing}' must" in said and "in a series that has a target, but is empty; 1 such series" in said
    changed(songs, home, tmp_path, "train", *(empty.alias(name) for name in songs.target))
    source = configs.load(Path("songs")).data
    assert not loading.load(source).train.scored[2]  # all of them empty: unlabelled


def test_a_class_called_like_the_row_id_needs_a_sample(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    songs = Songs("multiclass", metric="log_loss", probabilities=True)
    named = pl.col("answer").replace({"tit": "song"})
    changed(songs, home, tmp_path, "train", named)
    words = ('data.classes=["wren", "robin & co", "song"]',)
    assert "no column for the class 'song'" in refused(home, capsys, *words)
    (tmp_path / "songs" / "sample_submission.csv").unlink()
    assert "is called like the row id, 'song'" in refused(home, capsys, *words)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("blend.method=nnls", "it is the optimum of squared errors (mse, rmse, brier), and the metric is f1"),
        ("blend.method=rank", "it keeps only the order of predictions, and f1 counts more than that"),
        ("blend.per_target=true", "needs several targets with scores of their own"),
    ],
)
def test_a_blend_that_is_not_for_the_metric(
    override: str, message: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Songs("multiclass").install(home, tmp_path / "songs")
    assert message in refused(home, capsys, override)


@pytest.mark.parametrize(("kind", "metric"), [("binary", "auc"), ("multiclass", "auc"), ("ordinal", "qwk")])
def test_watched_series_on_which_the_metric_is_not_defined(
    kind: str, metric: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Songs(kind, metric=metric, probabilities=True).install(home, tmp_path / "songs")
    said = refused(home, capsys, "train.watch.share=0.05", "train.watch.stop=1")
    assert f"keeps 1 of the series outside fold 0 out of training (seed 0), and they have no {metric} to be" in said
    tiny.run("train", "songs", "train.watch.share=0.5", "train.watch.stop=1", "--dry-run")


def test_trees_of_a_label_that_no_watched_series_has_are_stopped_by_the_log_loss(home: Path, tmp_path: Path) -> None:
    """Its auc is not defined, though that of the others is, which the networks' series are watched by."""
    songs = Songs("multilabel", metric="auc")
    rare = (pl.col("song") == "s1").cast(pl.Int64).alias("trill")
    changed(songs, home, tmp_path, "train", rare)
    tiny.run("train", "songs", "data.metric_options={average = 'micro'}", "train.watch.share=0.3", "train.watch.stop=1")


def test_a_sample_of_labels_for_a_metric_of_probabilities(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Songs("multiclass", metric="log_loss").install(home, tmp_path / "songs")
    assert "has the column 'answer', for labels, but log_loss scores probabilities" in refused(home, capsys)
