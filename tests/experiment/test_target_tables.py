"""[[target]] in a config: what does not go together is refused, and which models and heads serve which target."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import refusals
from tiny_targets import Birds

from foldline.experiment import config


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('columns = ["loudness"]', 'columns = ["bird"]', "every [[target]] needs a name of its own"),
        ('columns = ["loudness"]', 'columns = ["loudness"]\nname = "a b"', "letters, digits, - and _ only"),
        ("share = 3", "share = 0", "share must be above 0"),
        ("share = 3", "shares = 3", "unknown key 'shares'"),
        (
            'metric = "mae"',
            'metric = "r2"',
            "all must go one way, but there are log_loss of bird (lower is better), r2",
        ),
        ('order = "second"', 'order = "second"\nmetric = "mae"', "data.metric is said of each target"),
        ('order = "second"', 'order = "second"\ntarget = ["bird"]', "move it into [[target]], as columns"),
        ("rounds = 20", 'rounds = 20\ntargets = ["birds"]', "unknown target 'birds'"),
        ('metric = "mae"', 'metric = "f1"', "(target 'loudness'): data.metric: f1 scores"),
        ('metric = "mae"', 'kind = "binary"', "(target 'loudness'): data: metric must be given for kind = 'binary'"),
        (
            'metric = "mae"',
            'metric = "mae"\nmetric_options = {groups = "mean"}',
            "(target 'loudness'): data: metric_options",
        ),
        ('metric = "mae"', 'metric = "mae"\nkind = "multilabel"', "'multilabel' needs two columns or more"),
        ("[features]", "[post]\ndecode = true\n[features]", "post.decode reads one target back"),
        ("[[target]]", "[[targets]]", "unknown table 'targets'. Did you mean 'target'?"),
    ],
)
def test_a_config_that_does_not_go_together_is_refused(
    old: str, new: str, sentence: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Birds().install(home, tmp_path / "data")
    path.write_text(path.read_text().replace(old, new))
    assert sentence in refusals.said(capsys, "train", "birds")
    assert not (home / "runs").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (pl.lit(0.5).alias("pitches"), "column 'pitches' is asked for in 6 rows (first song: s501) that no [[target]]"),
        (None, "loudness"),
    ],
)
def test_a_sample_that_asks_for_more_or_less_is_refused_before_training(
    change: pl.Expr | None, sentence: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = Birds().frames()
    sample = frames["sample_submission"]
    asked = sample.drop("loudness") if change is None else sample.with_columns(change)
    Birds().install(home, tmp_path / "data", {**frames, "sample_submission": asked})
    assert sentence in refusals.said(capsys, "train", "birds")
    assert not (home / "runs" / "cells").exists()


def test_a_network_may_learn_its_target_alone_and_a_model_may_serve_some_targets(home: Path, tmp_path: Path) -> None:
    path = Birds(loudness="beside = 0").install(home, tmp_path / "data")
    text = path.read_text().replace("rounds = 20", 'rounds = 20\ntargets = ["loudness"]')
    path.write_text(text)
    bird, loudness = (config.load(Path(f"birds.{name}")) for name in ("bird", "loudness"))
    assert [model.name for model in bird.models] == ["hybrid"]
    assert [model.name for model in loudness.models] == ["hybrid", "lightgbm"]
    assert "beside" not in bird.models[0].params["head"] and loudness.models[0].params["head"]["beside"]
    path.write_text(
        text.replace("width = 4\n", 'width = 4\nhead = {kind = "softmax", beside = []}\ntargets = ["bird"]\n')
    )
    assert "beside" not in config.load(Path("birds.bird")).models[0].params["head"]
