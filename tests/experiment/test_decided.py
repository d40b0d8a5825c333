"""Decisions on labels from training to the submission: recorded, shown, applied by `infer`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.core import files

Capture = pytest.CaptureFixture[str]

SONGS = Songs("binary", metric="f1", series=60, test_series=30)
ONE_ROUND = '[[model]]\nname = "lightgbm"\nrounds = 1\nmin_data_in_leaf = 2\n\n[track]'


@pytest.mark.learned
def test_a_threshold_is_recorded_shown_and_submitted(home: Path, tmp_path: Path) -> None:
    """After one round no probability is far from the prior, below 0.5: F1 is 0 without a threshold."""
    path = SONGS.install(home, tmp_path / "songs")
    head, tail = path.read_text().split("[[model]]", 1)[0], path.read_text().split("[track]")[1]
    path.write_text(head + ONE_ROUND + tail)
    swapped = pl.col("answer").replace({"calm": "alarm", "alarm": "calm"})
    frames = SONGS.frames()
    tiny.write(tmp_path / "songs", {**frames, "train": frames["train"].with_columns(swapped)})
    tiny.run("train", "songs")
    latest = home / "runs" / "songs" / "latest"
    value = files.read_json(latest / "experiment.json")
    assert value["decisions"]["step"] == "thresholds" and 0.2 < value["decisions"]["values"][0] < 0.5
    assert value["scores"][-1][0] == "thresholds fitted" and value["scores"][-1][1][-1] > value["scores"][-2][1][-1]
    decided = tiny.submission(home, "songs")
    assert b"alarm" in decided and b"calm" in decided
    (published,) = (home / "submissions").glob("songs-*.csv")
    published.unlink()
    tiny.run("infer", "songs")
    assert published.read_bytes() == decided


def inferred(home: Path) -> bytes:
    """Predict again from the record, and return what is published."""
    (published,) = (home / "submissions").glob("songs-*.csv")
    published.unlink()
    tiny.run("infer", "songs")
    return published.read_bytes()


@pytest.mark.learned
def test_thresholds_of_each_site_are_recorded_and_applied(home: Path, tmp_path: Path) -> None:
    """At the river the label means the opposite, which the models, blind for the site, can't learn; thresholds can."""
    blind = replace(SONGS, metric="accuracy", series=90)
    path = blind.install(home, tmp_path / "songs")
    text = path.read_text().replace('"static", ', "").split("[[model]]")
    path.write_text("[[model]]".join([text[0], text[2]]))  # trees alone: they learn nearly nothing
    frames, odd = blind.frames(), (pl.col("site") == "river") & (pl.col("song").str.slice(1).cast(pl.Int64) % 5 > 0)
    always = pl.when(odd).then(pl.lit("alarm")).otherwise("answer").alias("answer")
    tiny.write(tmp_path / "songs", {**frames, "train": frames["train"].with_columns(always)})
    tiny.run("train", "songs", "post.thresholds_by=site")
    decided = files.read_json(home / "runs" / "songs" / "latest" / "experiment.json")["decisions"]
    assert decided["column"] == 0 and [code for code, _ in decided["own"]]
    before = tiny.submission(home, "songs")
    assert inferred(home) == before


@pytest.mark.learned
def test_ranks_learned_as_numbers_are_cut_into_ranks(home: Path, tmp_path: Path) -> None:
    """After one round of squared errors all are near the middle rank: cut points, not rounding, tell them apart."""
    path = Songs("ordinal", series=60).install(home, tmp_path / "songs")
    head, tail = path.read_text().split("[[model]]", 1)[0], path.read_text().split("[track]")[1]
    path.write_text(head + ONE_ROUND + tail)
    tiny.run("train", "songs", "model.0.objective=l2")
    value = files.read_json(home / "runs" / "songs" / "latest" / "experiment.json")
    low, high = value["decisions"]["values"]
    assert value["decisions"]["step"] == "cut points" and 0.5 < low < high < 1.5
    assert value["scores"][-1][1][-1] > value["scores"][-2][1][-1] + 0.3
    before = tiny.submission(home, "songs")
    assert all(label in before for label in (b"low", b"middle", b"high")) and inferred(home) == before


def test_shares_that_were_clipped_sum_to_one_again(home: Path, tmp_path: Path, capsys: Capture) -> None:
    Songs("multiclass", metric="log_loss", probabilities=True).install(home, tmp_path / "songs")
    assert main(["train", "songs", "post.clip=[0.2, 0.7]"]) == 2
    assert "set post.renormalise = true as well" in " ".join(capsys.readouterr().err.split())
    assert not (home / "runs" / "cells").exists()
    tiny.run("train", "songs", "post.clip=[0.2, 0.7]", "post.renormalise=true")
    value = files.read_json(home / "runs" / "songs" / "latest" / "experiment.json")
    assert value["scores"][-1][0] == "divided by the sum" and value["tidied"]["renormalise"]
    submitted = tiny.submission(home, "songs")
    shares = pl.read_csv(submitted).drop("song").to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert shares.min() > 0.1 and inferred(home) == submitted


def test_whole_numbers_are_submitted_where_the_config_says_so(home: Path, tmp_path: Path) -> None:
    """The gate expects no more digits than the rounded targets have."""
    Songs("regression").install(home, tmp_path / "songs")
    tiny.run("train", "songs", "post.decimals=0", "post.always=true")
    value = files.read_json(home / "runs" / "songs" / "latest" / "experiment.json")
    assert value["tidied"] == {"decimals": 0, "renormalise": False} and value["scores"][-1][0] == "rounded"
    submitted = tiny.submission(home, "songs")
    answers = pl.read_csv(submitted)["answer"].to_numpy()
    assert (answers == answers.round()).all() and inferred(home) == submitted


@pytest.mark.learned
def test_weights_of_each_target_are_recorded_and_applied(home: Path, tmp_path: Path) -> None:
    """One member from outside knows the first target, the other one the second."""
    songs = Songs("regression", targets=("height", "width"), series=40)
    songs.install(home, tmp_path / "songs")
    frames, rng = songs.frames(), np.random.default_rng(0)
    for name, sharp in (("tall", "height"), ("wide", "width")):
        for stem, suffix in (("train", "oof"), ("sample_submission", "test")):
            table = frames[stem].group_by("song", maintain_order=True).last().select("song", "height", "width")
            noise = [
                pl.Series(each, rng.normal(scale=0.01 if each == sharp else 2, size=len(table)))
                for each in ("height", "width")
            ]
            noisy = [pl.col(each.name) + each for each in noise]
            table.with_columns(noisy).write_csv(tmp_path / f"{name}-{suffix}.csv")
    paths = {name: [f"{tmp_path / name}-{suffix}.csv" for suffix in ("oof", "test")] for name in ("tall", "wide")}
    tables = [f'{{name = "{name}", oof = "{oof}", test = "{test}"}}' for name, (oof, test) in paths.items()]
    tiny.run("train", "songs", f"blend.outside=[{', '.join(tables)}]", "blend.per_target=true")
    blended = files.read_json(home / "runs" / "songs" / "latest" / "experiment.json")["blend"]
    weights = dict(zip(blended["labels"], np.transpose(blended["weights"]).tolist(), strict=True))
    page = (home / "runs" / "songs" / "latest" / "report.html").read_text()
    assert "Weights of each target" in page and blended["rule"] == "weighted by target"
    assert weights["tall"][0] > 0.9 and weights["wide"][1] > 0.9
    submitted = tiny.submission(home, "songs")
    assert inferred(home) == submitted
