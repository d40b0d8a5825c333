"""XGBoost and CatBoost through the verbs: train, infer, serve, bundle, ablate, tune; a damaged file is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
import tree_libraries
from refusals import refused

from foldline.core import files
from foldline.serve import load


@tree_libraries.each()
def test_what_is_trained_is_inferred_served_and_packed(
    name: str, home: Path, rides: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("train", "rides", tree_libraries.words(name), "blend.method=mean")
    before = tiny.submission(home)
    for path in (home / "runs").glob("cells/*/test-*"):
        path.unlink()
    tiny.run("infer", "rides")
    (written,) = (home / "runs" / "rides" / "latest").glob("infer-*.csv")
    assert written.read_bytes() == before
    answers = load("rides").predict(tiny.frames()["test"])
    np.testing.assert_array_equal(answers["speed"], pl.read_csv(written)["speed"])
    capsys.readouterr()
    tiny.run("bundle", "rides", "--json")
    packed = Path(json.loads(capsys.readouterr().out.splitlines()[-1])["bundle"])
    requires = files.read_json(packed / "dataset" / "foldline-manifest.json")["requires"]
    assert name in {line.split(">")[0] for line in requires}
    assert name in files.read_json(home / "runs" / "rides" / "latest" / "experiment.json")["environment"]


@tree_libraries.each()
def test_a_damaged_booster_is_not_read(name: str, home: Path, rides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("train", "rides", tree_libraries.words(name), "blend.method=mean")
    for path in (home / "runs").glob("cells/*/test-*"):
        path.unlink()
    for path in (home / "runs").glob("cells/*/booster-0.*"):
        path.write_bytes(path.read_bytes()[:-8] + b"\0" * 8)
    capsys.readouterr()
    assert "damaged (" in refused(["infer", "rides"], home, capsys)


@tree_libraries.each()
def test_a_key_and_an_objective_that_do_not_exist_are_refused(
    name: str, home: Path, rides: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tree_libraries.words(name)
    assert "'num_leaves'" in refused(["train", "rides", model, "model.1.num_leaves=7"], home, capsys)
    said = refused(["train", "rides", model, "model.1.objective=fair"], home, capsys)
    assert "objective" in said and "'fair'" in said and "quantile" in said
    said = refused(["train", "rides", model, "model.1.objective=binary"], home, capsys)
    assert "'binary' does not serve regression targets: choose 'l1'" in said
