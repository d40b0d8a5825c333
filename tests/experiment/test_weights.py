"""data.weight: in training, in every score, in the keys; equal weights are none; bad ones are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.core import files
from foldline.core.console import Terminal
from foldline.ensemble.paired_difference import unit_losses
from foldline.experiment import config as configs
from foldline.experiment import preparation, scoring
from foldline.fit.labelled_series import labelled_series

WATCH = "train.watch={share = 0.3, best = true, stop = 5}"


def installed(home: Path, folder: Path, songs: Songs, weight: Callable[[pl.DataFrame], pl.Series] | None) -> None:
    songs.install(home, folder / "songs")
    frames = songs.frames()
    if weight is not None:
        frames["train"] = frames["train"].with_columns(weight(frames["train"]).alias("w"))
    tiny.write(folder / "songs", frames)


def uneven(frame: pl.DataFrame) -> pl.Series:
    """0, 1, 2, ... from series to series, constant inside."""
    return (frame["song"].rank("dense") % 4).cast(pl.Float64)


def record(home: Path) -> dict:  # type: ignore[type-arg]
    return files.read_json((home / "runs" / "songs" / "latest").resolve() / "experiment.json")  # type: ignore[no-any-return]


@pytest.mark.parametrize("songs", [Songs("regression", "step"), Songs("multiclass")], ids=["numbers", "classes"])
def test_equal_weights_give_the_bits_of_none(home: Path, tmp_path: Path, songs: Songs) -> None:
    installed(home, tmp_path, songs, lambda frame: pl.Series([0.1] * frame.height))
    tiny.run("train", "songs", WATCH)
    plain, scores = tiny.submission(home, "songs"), record(home)["scores"]
    tiny.run("train", "songs", WATCH, "data.weight=w")
    assert tiny.submission(home, "songs") == plain and record(home)["scores"] == scores


def test_scores_and_models_are_weighted(home: Path, tmp_path: Path) -> None:
    songs = Songs("regression", "step", more='weight = "w"')
    installed(home, tmp_path, songs, uneven)
    tiny.run("train", "songs", WATCH)
    weighted = record(home)
    ready = preparation.prepare(configs.load(Path("songs"), [WATCH]), Terminal(quiet=True))
    result = scoring.combine(ready.config, ready.members, ready.train, ready.folds, None)
    frame = songs.frames()["train"]
    weight = uneven(frame).to_numpy()
    for number, label in enumerate(result.labels):
        error = np.abs(result.member_predictions[number][:, 0] - frame["answer"].to_numpy())
        assert dict(weighted["scores"])[label][-1] == pytest.approx(np.average(error, weights=weight))
    sums, counts = unit_losses(result.rows, result.rows.y + 1.0)
    np.testing.assert_allclose(sums, counts)
    np.testing.assert_allclose(counts.sum(), weight.sum())
    tiny.run("train", "songs", WATCH, 'data.weight=""')
    plain = record(home)
    assert not {cell["key"] for cell in weighted["cells"]} & {cell["key"] for cell in plain["cells"]}
    assert weighted["scores"] != plain["scores"] and weighted["interval"] != plain["interval"]


def test_weights_have_a_mean_of_one_over_the_training_part(home: Path, tmp_path: Path) -> None:
    installed(home, tmp_path, Songs("binary", more='weight = "w"'), uneven)
    store = preparation.prepare(configs.load(Path("songs")), Terminal(quiet=True)).train
    part = labelled_series(store, np.arange(1, 10))
    assert store.weight is not None and part.weight.mean() == pytest.approx(1.0) and part.weight.dtype == np.float32
    np.testing.assert_allclose(part.weight / part.weight.sum(), store.weight[1:10] / store.weight[1:10].sum())
    same = np.flatnonzero(store.weight == 3)
    assert (labelled_series(store, same).weight == 1).all()


def test_series_of_weight_0_are_not_learned_from(home: Path, tmp_path: Path) -> None:
    """Their answers may be anything; LightGBM predicts the same bits."""
    songs = Songs("regression", statics=False, more='weight = "w"')
    found = []
    for wrong in (0.0, 100.0):
        installed(home, tmp_path, songs, uneven)
        frames = songs.frames()
        without = uneven(frames["train"]) == 0
        changed = frames["train"].with_columns(
            w=uneven(frames["train"]), answer=pl.when(without).then(pl.col("answer") + wrong).otherwise("answer")
        )
        tiny.write(tmp_path / "songs", {**frames, "train": changed})
        tiny.run("train", "songs", "blend.method=best-member")
        found.append(tiny.submission(home, "songs"))
        assert np.isfinite(record(home)["scores"][-1][1][-1])
    assert found[0] == found[1]


def test_a_metric_without_weights_stays_without(home: Path, tmp_path: Path) -> None:
    installed(home, tmp_path, Songs("regression", metric="spearman", more='weight = "w"'), uneven)
    ready = preparation.prepare(configs.load(Path("songs")), Terminal(quiet=True))
    assert ready.train.weight is not None
    tiny.run("train", "songs")


@pytest.mark.parametrize(
    ("level", "change", "said"),
    [
        ("series", lambda w: w.scatter(3, -1.0), "must not be below 0, but is -1 in song s1"),
        ("series", lambda w: w.scatter(3, np.inf), "'w' must be a finite number, but is inf"),
        ("series", lambda w: w.scatter(3, None), "'w' must be a finite number, but is empty"),
        ("series", lambda w: w.scatter(3, 7.0), "'w' is the weight of a series, so it must be constant"),
        ("step", lambda w: w * 0, "'w' is 0 in all rows"),
        ("step", lambda w: w.cast(pl.String) + "kg", "'w'"),
    ],
)
def test_bad_weights_are_refused(
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    level: str,
    change: Callable[[pl.Series], pl.Series],
    said: str,
) -> None:
    installed(home, tmp_path, Songs("multiclass", level, more='weight = "w"'), lambda frame: change(uneven(frame)))
    assert main(["train", "songs"]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_missing_column_is_named(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed(home, tmp_path, Songs("multiclass", more='weight = "w"'), None)
    assert main(["train", "songs"]) == 2 and "'w'" in capsys.readouterr().err
