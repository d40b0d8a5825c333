"""`infer`: stored cells on new series, without the libraries that only training needs, and never with changed code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import tiny
from hiding import HIDING

from foldline import models
from foldline.cli.main import main
from foldline.core import artefacts
from foldline.experiment import verification


def cell_files(home: Path) -> dict[str, int]:
    """Every file of every cell, and when it was written (ns)."""
    return {str(path): path.stat().st_mtime_ns for path in (home / "runs" / "cells").rglob("*") if path.is_file()}


def test_it_makes_trains_submission_where_training_libraries_are_hidden(trained: Path, tmp_path: Path) -> None:
    for stored in (trained / "runs" / "cells").glob("*/test-*.npy"):
        stored.unlink()  # so that the weights are really applied
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HIDING)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hook")}
    command = [sys.executable, "-m", "foldline", "infer", "rides"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("hook\n")  # it was in force
    submission = tmp_path / done.stdout.splitlines()[-1].removeprefix("submission: ")
    assert submission.read_bytes() == tiny.submission(trained)


def test_new_series_are_predicted_and_nothing_is_trained(trained: Path, tmp_path: Path) -> None:
    before = cell_files(trained)
    tables = tiny.frames(test_series=7, steps=6)  # other length than in training
    folder = tiny.write(tmp_path / "new", {stem: tables[stem] for stem in ("test", "sample_submission")})
    tiny.run("infer", "rides", f"data.source={folder}")
    after = cell_files(trained)
    assert {name: after[name] for name in before} == before
    assert all(Path(name).name.startswith("test-") for name in after.keys() - before.keys())
    written = next((trained / "runs" / "rides" / "latest").glob("infer-*.csv"))
    assert pl.read_csv(written)["row"].to_list() == tables["test"]["row"].to_list()


def test_a_missing_sample_and_unknown_static_values_are_reported(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = tiny.frames()["test"].with_columns(bike=pl.lit(99))
    folder = tiny.write(tmp_path / "new", {"test": test})
    tiny.run("infer", "rides", f"data.source={folder}")
    printed = capsys.readouterr()
    assert "no sample_submission: the submission gets the rows of test.csv" in printed.out
    assert "4 of 4 test series have a bike that no training series has: 99" in printed.err


def test_infer_and_bundle_say_which_experiment_they_take(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["train", "rides"], ["blend", "rides", "blend.method=mean"]):
        tiny.run(*words)
        latest = (trained / "runs" / "rides" / "latest").readlink().name
        for command in (["infer", "rides"], ["bundle", "rides", f"out={tmp_path / words[0]}"]):
            capsys.readouterr()
            tiny.run(*command)
            first = capsys.readouterr().out.splitlines()[0]
            assert first.startswith(f"from rides/{latest}: ") and f", made by `{words[0]}` 20" in first


def test_a_dry_run_says_what_is_to_do(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = cell_files(trained)
    tiny.run("infer", "rides", "--dry-run", "--quiet")
    tables = tiny.frames(test_series=5)
    folder = tiny.write(tmp_path / "new", {"test": tables["test"]})
    tiny.run("infer", "rides", f"data.source={folder}", "--dry-run", "--quiet")
    assert [line.split(": ")[1][:6] for line in capsys.readouterr().out.splitlines()] == ["0 of 2", "2 of 2"]
    assert cell_files(trained) == before


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    return capsys.readouterr().err


def test_changed_sources_are_refused(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "conv.py"
    copy.write_text(models.hybrid.BLOCKS["conv"].source.read_text() + "\n# changed\n")
    honest: Callable[..., list[Path]] = models.source_of
    changed = lambda *args: [copy if path.name == copy.name else path for path in honest(*args)]  # noqa: E731
    monkeypatch.setattr(models, "source_of", changed)
    assert "hybrid or the engine is not what 'rides' was trained with" in refusal(["infer", "rides"], capsys)


def test_a_lost_cell_and_other_overrides_are_refused(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "only data.source=DIR can be given" in refusal(["infer", "rides", "train.epochs=3"], capsys)
    next((trained / "runs" / "cells").glob("*/done.json")).unlink()
    assert "is gone, but the experiment 'rides' needs it" in refusal(["infer", "rides"], capsys)


def test_bad_new_data_is_refused_and_leaves_nothing(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tiny.tree(trained)
    test = tiny.frames()["test"]
    folder = tiny.write(tmp_path / "bad", {"test": test.with_columns(power=float("inf"))})
    assert "'power' must be a finite number" in refusal(["infer", "rides", f"data.source={folder}"], capsys)
    assert tiny.tree(trained) == before


def test_dates_where_training_had_numbers_are_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their seconds would be taken for training's unit; a record of an older version does not say what that was."""
    dated = tiny.frames()["test"].with_columns(second=pl.datetime(2024, 1, 1) + pl.duration(hours=2 * pl.col("second")))
    folder = tiny.write(tmp_path / "new", {"test": dated})
    message = "'second' must be of the kind that it was in training, numbers, but holds dates or times"
    assert message in refusal(["infer", "rides", f"data.source={folder}"], capsys)
    record = trained / "runs" / "rides" / "latest" / "experiment.json"
    value = artefacts.read_json(record)
    del value["clock"]
    artefacts.write_json(record, value)
    tiny.run("infer", "rides", f"data.source={folder}")


def test_a_sample_in_parquet_makes_submissions_in_parquet(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = tiny.frames()
    tables["sample_submission"] = tables["sample_submission"].with_columns(pl.col("row").cast(pl.String))
    (tmp_path / "rides").mkdir()
    for stem, table in tables.items():
        table.write_parquet(tmp_path / "rides" / f"{stem}.parquet")
    tiny.install(home, tmp_path / "rides")
    trained = Path(tiny.as_json(capsys, "train", "rides")["submission"])
    assert trained.parent == home / "submissions" and trained.suffix == ".parquet"
    assert pl.read_parquet(trained)["row"].equals(tables["sample_submission"]["row"], check_dtypes=True)
    assert (home / "runs" / "rides" / "latest" / "submission.parquet").read_bytes() == trained.read_bytes()
    assert Path(tiny.as_json(capsys, "infer", "rides")["submission"]) == trained
    assert not list(home.rglob("submission*.csv")) and not list(home.rglob("infer-*.csv"))
    found = verification.verify(lambda done, total: None)
    assert not found.damaged
    trained.write_bytes(trained.read_bytes()[:-1])
    assert trained in verification.verify(lambda done, total: None).damaged
