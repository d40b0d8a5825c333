"""A whole run on a target that is known now and then: it beats every baseline, and test has the score that it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
import tiny_tanks

from foldline.cli.main import main
from foldline.serve import load


@pytest.mark.slow
@pytest.mark.learned
def test_tanks(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = tiny_tanks.frames(train_series=60, test_series=40)
    tiny_tanks.install(home, tiny.write(tmp_path / "tanks", tables), epochs=30, rounds=60)
    tiny.run("train", "tanks")
    written, latest = tiny.submission(home, "tanks"), home / "runs" / "tanks" / "latest"
    scores = json.loads((latest / "experiment.json").read_text())
    final, trivial = scores["scores"][-1][1][-1], {name: each[-1] for name, each in scores["baselines"]}
    assert set(trivial) == {"constant", "last known value", "interpolation", "linear"}
    assert final < 0.8 * min(trivial.values()) and trivial["interpolation"] == min(trivial.values())
    found = pl.read_csv(latest / "submission.csv").join(tables["test"], on="row", suffix="_read")
    known = found.filter(pl.col("level_read").is_not_null())
    assert known.height > 100 and (known["level"] == known["level_read"]).all()
    truth = tiny_tanks.tanks(500, 40, seed=1)
    truth.write_csv(tmp_path / "truth.csv")
    capsys.readouterr()
    tiny.run("score", str(latest / "submission.csv"), str(tmp_path / "truth.csv"), "tanks", "--json", BESIDE)
    on_test = json.loads(capsys.readouterr().out)["scores"][0]
    assert on_test["rows"] == found.height - known.height
    assert 0.7 < on_test["score"] / final < 1.3  # measured: 0.9 to 1.1
    tiny.run("infer", "tanks")
    assert tiny.submission(home, "tanks") == written
    predictor, test = load("tanks"), tables["test"]
    answers = predictor.predict(test)["level"].to_numpy()
    np.testing.assert_allclose(answers, found["level"].to_numpy(), atol=1e-5)
    nothing = predictor.predict(test.drop("level"))["level"].to_numpy()
    assert np.isfinite(nothing).all() and np.abs(nothing - answers).mean() > 0.1


BESIDE = 'data.known=["reading"]'  # the truth has what was read in a column of its own


@pytest.mark.slow
def test_the_audit_finds_no_leak(home: Path, tmp_path: Path) -> None:
    tiny_tanks.install(home, tiny.write(tmp_path / "tanks", tiny_tanks.frames(40, 20)))
    tiny.run("train", "tanks")
    assert main(["audit", "tanks"]) == 0
