"""Several targets whose tables competition.py makes, or whose folds go by time: each target as if it were alone."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest
import tiny
from tiny_targets import Birds

from foldline.cli.main import main
from foldline.experiment import several_targets

CODE = """
import polars as pl
from foldline.features.family import SERIES


def tables(folder):
    return {part: pl.scan_parquet(folder / f"{part}.bin") for part in ("train", "test", "sample_submission")}


def features(columns):
    return [pl.col("pitch").max().over(SERIES).alias("highest")]
"""
OWN_LAYOUT = """

def submission(predictions, folder):
    return predictions
"""
METRIC = """
import pandas as pd


def score(solution: pd.DataFrame, submission: pd.DataFrame, row_id_column_name: str) -> float:
    return float((solution["loudness"] - submission["loudness"]).abs().mean())
"""
NETWORK = '[[model]]\nname = "hybrid"\nwidth = 4\nblocks = [{kind = "conv", kernel = 3}]\n\n'
GROUPS, TIME = 'kind = "stratified-group"\nk = 2', 'kind = "time"\nk = 2\nby = "day"\ngap = 0.5'


def trees_of(path: Path, *replaced: tuple[str, str]) -> None:
    """Leave the network out of a config, and replace some of its lines."""
    text = path.read_text()
    for old, new in ((NETWORK, ""), *replaced):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


@pytest.fixture
def code(home: Path, tmp_path: Path) -> Path:
    """The competition.py of a config whose tables no other code can read."""
    frames = Birds().frames()
    path = Birds().install(home, tmp_path / "birds", frames)
    families = ("families = [", 'families = ["competition", ')
    trees_of(path, families, ("[data]", '[data]\ncode = "competition.py"'))
    for part, frame in frames.items():
        (tmp_path / "birds" / f"{part}.csv").unlink()
        frame.write_parquet(tmp_path / "birds" / f"{part}.bin")
    code = path.with_name("competition.py")
    code.write_text(CODE)
    return code


def test_the_record_keeps_competition_py_and_infer_report_bundle_and_submit_use_it(
    home: Path, code: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("train", "birds", "--quiet")
    wanted, record = tiny.submission(home, "birds"), (home / "runs" / "birds" / "latest").resolve()
    assert pl.read_csv(record / "submission.csv").columns == Birds().frames()["sample_submission"].columns
    code.unlink()  # what follows reads the record's copies
    tiny.run("infer", "birds")
    assert next(record.glob("infer-*.csv")).read_bytes() == wanted
    tiny.run("report", "birds", "--quiet")
    tiny.run("submit", "birds", "--dry-run")
    tiny.run("train", str(record / "config.toml"), "--dry-run", "--json")
    assert '"to_train": 0' in capsys.readouterr().out
    tiny.run("bundle", "birds", f"out={tmp_path / 'bundle'}")
    packed = tmp_path / "bundle" / "dataset" / "runs" / "birds" / record.name
    assert all((packed / own / "competition.py").read_text() == CODE for own in ("", "bird", "loudness"))
    (record / "loudness" / "competition.py").write_text(CODE + "# changed")
    assert main(["infer", "birds"]) == 2


def test_submission_of_competition_py_is_refused_beside_several_targets(
    home: Path, code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code.write_text(CODE + OWN_LAYOUT)
    assert main(["train", "birds"]) == 2
    assert "lays out the predictions of one target, but there are several" in " ".join(capsys.readouterr().err.split())
    assert not (home / "runs").exists()


@pytest.mark.parametrize("whole", [False, True])
def test_time_folds_score_what_they_hold_out(
    whole: bool, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foldline.data.metrics.intervals.RESAMPLES", 40)
    if whole:
        pytest.importorskip("pandas")
    frames = Birds().frames()
    number = frames["train"]["song"].rle_id().cast(pl.Int64)
    days = [str(dt.date(2024, 1, 1) + dt.timedelta(days=5 * song % 24)) for song in range(24)]
    train = frames["train"].with_columns(day=pl.Series(days).gather(number))
    path = Birds().install(home, tmp_path / "birds", {**frames, "train": train})
    trees_of(path, (GROUPS, TIME), *([("[data]", '[data]\nmetric = "loud.py"\nhigher_is_better = false')] * whole))
    path.with_name("loud.py").write_text(METRIC)
    tiny.run("train", "birds", "--quiet", "--json")
    made = json.loads(capsys.readouterr().out.splitlines()[-1])
    own = {name: target["score"] for name, target in made["targets"].items()}
    assert made["score"] == pytest.approx(own["loudness"] if whole else 0.75 * own["bird"] + 0.25 * own["loudness"])
    record = several_targets.read("birds")
    assert all({cell.fold for cell in each.plan} == {0, 1, None} for each in record.experiments)
    page = (home / "runs" / "birds" / "latest" / "loudness" / "report.html").read_text()
    assert "16 of 24 series" in page
    before = (home / "runs" / "birds" / "latest" / "report.html").read_bytes()
    tiny.run("report", "birds", "--quiet")
    assert (home / "runs" / "birds" / "latest" / "report.html").read_bytes() == before
    tiny.run("infer", "birds", "--quiet")
