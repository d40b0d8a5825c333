"""`init`: a config that trains once its metric is named, written beside nothing that was there."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import tiny
import tiny_forecast
import tiny_tanks
import tiny_windows
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.core.errors import UserError
from foldline.data import folds, loading
from foldline.experiment import config

Capture = pytest.CaptureFixture[str]


def test_the_config_is_taken_once_the_metric_is_named(home: Path, tmp_path: Path, capsys: Capture) -> None:
    tiny.write(tmp_path / "rides", tiny.frames())
    tiny.run("init", str(tmp_path / "rides"))
    out = capsys.readouterr().out
    path = home / "configs" / "rides.toml"
    assert "because" in out and "name the metric" in out and str(path) in out
    made = config.load(path, ["data.metric=mae"])
    assert loading.load(made.data).train.data.key == "ride" and not (home / "runs").exists()
    with pytest.raises(UserError, match=r"unknown metric '\?'"):
        config.load(path, [])


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_classes_of_whole_series_too(
    kind: str, home: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write(tmp_path / "songs", Songs(kind).frames())
    monkeypatch.setenv("HOME", str(tmp_path))
    tiny.run("init", str(tmp_path / "songs"), "out=~/mine.toml", "--json")
    said = json.loads(capsys.readouterr().out)
    assert said["problem"] == ""
    assert config.load(tmp_path / "mine.toml", ["data.metric=accuracy"]).data.kind == kind


@pytest.mark.parametrize("statics", [False, True])
def test_whole_series_get_what_a_config_without_models_trains(statics: bool, home: Path, tmp_path: Path) -> None:
    source = tiny.write(tmp_path / "songs", Songs("multilabel", metric="auc", statics=statics).frames())
    tiny.run("init", str(source))
    written = config.load(home / "configs" / "songs.toml", ["data.metric=auc"])
    given = {name: written.tables()[name] for name in ("data", "folds", "train")}
    filled = config.from_tables("songs", given, "songs.toml")
    assert ("static" in written.features.families) == statics
    assert written.features == filled.features and written.models == filled.models and written.blend == filled.blend


def test_long_series_are_cut_into_windows(home: Path, tmp_path: Path, capsys: Capture) -> None:
    tiny.write(tmp_path / "bridge", tiny_windows.frames())
    tiny.run("init", str(tmp_path / "bridge"))
    assert "is its answer strain of its last row?" in capsys.readouterr().out
    made = config.load(home / "configs" / "bridge.toml", ["data.metric=mae"]).data
    assert made.level == "window" and made.windows.length == made.windows.stride == tiny_windows.LENGTH
    assert len(loading.load(made).train.lengths) == 10


def test_windows_are_named_where_series_are_long(home: Path, tmp_path: Path) -> None:
    for steps, named in ((1500, False), (2500, True)):
        source = tiny.write(tmp_path / f"rides{steps}", tiny.frames(train_series=4, test_series=2, steps=steps))
        tiny.run("init", str(source))
        text = (home / "configs" / f"rides{steps}.toml").read_text()
        assert ("# windows = {length = 1000}" in text and "up to 2,500 steps" in text) == named
    path = home / "configs" / "rides2500.toml"
    path.write_text(text.replace("# windows =", "windows ="))
    assert config.load(path, ["data.metric=mae"]).train.windows.length == 1000


def test_there_are_no_more_folds_than_groups(home: Path, tmp_path: Path) -> None:
    frames = tiny.frames()
    riders = {name: pl.col("ride") % 3 + first for name, first in (("train", 0), ("test", 100))}
    frames |= {name: frames[name].with_columns(rider=rider) for name, rider in riders.items()}
    tiny.run("init", str(tiny.write(tmp_path / "rides", frames)))
    made = config.load(home / "configs" / "rides.toml", ["data.metric=mae"])
    assert (made.data.group, made.folds.k) == ("rider", 3)
    assert folds.make(tmp_path / "folds.csv", made.folds, loading.load(made.data).train, save=False).k == 3


def test_folds_are_plain_where_strata_have_too_few_series(home: Path, tmp_path: Path, capsys: Capture) -> None:
    bike, frames = pl.format("b{}", pl.col("ride") % 4), tiny.frames()  # three rides each
    frames |= {name: frames[name].with_columns(bike=bike) for name in ("train", "test")}
    said = tiny.as_json(capsys, "init", str(tiny.write(tmp_path / "rides", frames)))
    assert said["problem"] == ""
    assert config.load(home / "configs" / "rides.toml", ["data.metric=mae"]).folds.kind == "group"


def test_names_of_any_letters_are_written_as_toml(home: Path, tmp_path: Path, capsys: Capture) -> None:
    frames = {name: frame.rename({"power": "𝛼"}, strict=False) for name, frame in tiny.frames().items()}
    assert tiny.as_json(capsys, "init", str(tiny.write(tmp_path / "rides", frames)))["problem"] == ""
    assert "𝛼" in config.load(home / "configs" / "rides.toml", ["data.metric=mae"]).data.inputs


def test_what_is_there_is_not_overwritten(home: Path, tmp_path: Path, capsys: Capture) -> None:
    tiny.write(tmp_path / "rides", tiny.frames())
    mine = tmp_path / "mine.toml"
    mine.write_text("# mine")
    assert main(["init", str(tmp_path / "rides"), f"out={mine}"]) == 2
    assert "is there already" in capsys.readouterr().err and mine.read_text() == "# mine"


def test_a_folder_without_a_test_table_is_refused(home: Path, tmp_path: Path, capsys: Capture) -> None:
    tiny.write(tmp_path / "rides", {"train": tiny.frames()["train"]})
    assert main(["init", str(tmp_path / "rides")]) == 2
    assert "no test with one of the endings" in capsys.readouterr().err
    assert not (home / "configs" / "rides.toml").exists()


@pytest.mark.parametrize("part", ["train", "test"])
def test_files_that_are_no_table_of_commas_or_have_no_rows_are_refused(
    part: str, home: Path, tmp_path: Path, capsys: Capture
) -> None:
    tiny.write(tmp_path / "rides", tiny.frames())
    path = tmp_path / "rides" / f"{part}.csv"
    header, *rows = path.read_text().splitlines()
    for text, said in {
        "\n".join([header, *rows[:3], header, *rows[3:]]): "has its header again as row 4 below the first one",
        "\n".join([header, *rows]).replace(",", ";"): "seems to be separated by ';'",
        header: "has a header but no rows",
    }.items():
        path.write_text(text)
        assert main(["init", str(tmp_path / "rides")]) == 2
        assert said in capsys.readouterr().err and not (home / "configs" / "rides.toml").exists()


def test_a_folder_of_files_with_tables_to_join_is_taken_once_the_metric_is_named(home: Path, tmp_path: Path) -> None:
    frames, folder = Songs("multiclass").frames(), tmp_path / "songs"
    target = Songs("multiclass").target[0]
    for name in ("train", "test"):
        (folder / name).mkdir(parents=True)
        for (song,), part in frames[name].partition_by("song", as_dict=True).items():
            part.drop("song", target, strict=False).write_csv(folder / name / f"{song}.csv")
    frames["train"].select("song", target).unique().write_csv(folder / "genres.csv")
    frames["sample_submission"].write_csv(folder / "sample_submission.csv")
    assert main(["init", str(folder)]) == 0
    made = config.load(home / "configs" / "songs.toml", ["data.metric=accuracy"])
    train = loading.load(made.data).train
    assert train.lengths.size == frames["train"]["song"].n_unique() and made.data.level == "series"
    given = made.tables()
    del given["model"], given["blend"], given["post"]
    default = config.from_tables("songs", given, "songs")
    assert made.train.batch < 64 and (made.models, made.blend, made.post) == (
        default.models,
        default.blend,
        default.post,
    )


def test_a_forecast_is_written_as_one(home: Path, tmp_path: Path, capsys: Capture) -> None:
    tiny.write(tmp_path / "shops", tiny_forecast.shops())
    tiny.run("init", str(tmp_path / "shops"), "--json")
    assert json.loads(capsys.readouterr().out)["problem"] == ""
    made = config.load(home / "configs" / "shops.toml", ["data.metric=mae"])
    assert made.data.forecast.on and made.data.target_transform == "standardise"
    assert made.features.families == ("raw", "static", "target_lags", "calendar")
    assert len(loading.load(made.data).train.keys) == 6


def test_known_values_are_named(home: Path, tmp_path: Path, capsys: Capture) -> None:
    tiny.run("init", str(tiny.write(tmp_path / "tanks", tiny_tanks.frames())), "--json")
    assert json.loads(capsys.readouterr().out)["problem"] == ""
    made = config.load(home / "configs" / "tanks.toml", ["data.metric=mae"])
    assert made.data.known == made.data.target == ("level",)
