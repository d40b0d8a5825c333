"""`train` and `blend` from Python: what the command line makes, as frames."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tiny
from lab import at_step
from test_session import state
from tiny_targets import Birds

import foldline as fl
from foldline.core import artefacts

TREES: dict[str, Any] = {"model": [{"name": "lightgbm", "rounds": 5, "min_data_in_leaf": 2}]}  # takes milliseconds


def record(home: Path) -> dict[str, bytes]:
    """What a run leaves, without times and the ledger's hour."""
    kept = tiny.tree(home)
    return {name: text for name, text in kept.items() if not name.endswith(("made.json", "report.html", "ledger.csv"))}


def test_a_call_leaves_what_the_command_line_leaves(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tiny.run("train", "rides")  # the record names the folder of the data: here they lie elsewhere
    capfd.readouterr()
    before, made = record(trained), artefacts.read_json(trained / "runs" / "rides" / "latest" / "made.json")
    run = fl.train("rides", quiet=True)
    assert capfd.readouterr() == ("", "")
    assert record(trained) == before
    again = artefacts.read_json(run.folder / "made.json")
    assert again["command"] == made["command"] == "./run.sh train rides"
    stored = artefacts.read_json(run.folder / "experiment.json")
    assert run.score == stored["scores"][-1][1][-1]
    assert run.submission_path is not None and run.submission is not None and not run.targets
    written = pl.read_csv(run.submission_path)
    assert run.submission.equals(written) and written.height == 40
    assert run.name == "rides" and run.report.path == run.folder / "report.html"
    assert run.warnings and all("trivial baseline" in text for text in run.warnings)
    assert repr(run) == f"Run(rides: {run.score:.6g} out of fold, {run.folder})"


def test_frames_say_what_the_tables_say(trained: Path, rides: Path) -> None:
    run = fl.train("rides", quiet=True)
    assert run.scores.columns == ["name", "baseline", "fold_0", "fold_1", "all"]
    stored = artefacts.read_json(run.folder / "experiment.json")
    tables = [stored["baselines"], stored["scores"]]
    wanted = [(name, number == 0, *values) for number, table in enumerate(tables) for name, values in table]
    assert run.scores.rows() == wanted and wanted[-1][-1] == run.score
    assert run.oof is not None
    assert run.oof.columns == ["row", "ride", "second", "fold", "truth_speed", "predicted_speed"]
    error = (run.oof["truth_speed"] - run.oof["predicted_speed"]).abs()
    assert error.mean() == pytest.approx(run.score, rel=1e-12)
    both = pl.read_csv(rides / "train.csv").join(run.oof, on=["row", "ride", "second"], maintain_order="left")
    assert both["speed"].equals(both["truth_speed"].alias("speed")) and both.height == run.oof.height
    assert (both["coasting"] == 0).all()  # data.scored
    assert run.oof.group_by("ride").agg(pl.col("fold").n_unique())["fold"].unique().to_list() == [1]


def test_a_notebook_shows_the_report_in_a_frame_of_its_own(trained: Path) -> None:
    report = fl.train("rides", quiet=True).report
    shown = report._repr_html_()
    assert shown.startswith("<iframe srcdoc='&lt;!doctype html&gt;") and shown.count("<") == 2
    assert "'" not in shown.partition("srcdoc='")[2].partition("' width=")[0]
    assert str(report) == str(report.path) and "Scores" in report.html()


def test_nothing_is_left_in_the_process_and_a_second_call_makes_the_same(rides: Path, home: Path) -> None:
    first = fl.train("rides", **TREES, train={"threads": 2}, quiet=True)  # imports what it needs
    before = state()
    second = fl.train("rides", **TREES, train={"threads": 2}, force=True, quiet=True)
    assert state() == before
    assert first.folder == second.folder and first.scores.equals(second.scores)
    assert first.submission is not None and first.submission.equals(second.submission)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_from_another_thread(workers: int, rides: Path, home: Path) -> None:
    found: list[fl.Run] = []
    executor = {"kind": "serial" if workers == 1 else "process", "workers": workers}
    thread = threading.Thread(target=lambda: found.append(fl.train("rides", **TREES, executor=executor, quiet=True)))
    thread.start()
    thread.join()
    here = fl.train("rides", **TREES, force=True, quiet=True)
    assert found[0].oof is not None and found[0].oof.equals(here.oof)


@pytest.mark.usefixtures("sigint")
def test_an_interrupt_is_one_and_the_same_call_goes_on(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        at_step(3, patch, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            fl.train("rides", train={"batch": 2}, quiet=True)
    assert list((home / "runs" / "cells").glob("*/checkpoint.safetensors"))
    run = fl.train("rides", train={"batch": 2})
    assert "goes on after" in capsys.readouterr().out
    again = fl.train("rides", train={"batch": 2}, force=True, quiet=True)
    assert run.oof is not None and run.oof.equals(again.oof)


def test_a_home_of_its_own(rides: Path, home: Path, tmp_path: Path) -> None:
    tiny.install(tmp_path / "other", rides)
    before = tiny.tree(home)
    run = fl.train("rides", **TREES, home="other", quiet=True)
    assert run.folder.is_relative_to(tmp_path / "other" / "runs") and tiny.tree(home) == before


def test_several_targets_have_scores_and_rows_of_their_own(home: Path, tmp_path: Path) -> None:
    Birds().install(home, tmp_path / "birds")
    run = fl.train("birds", quiet=True)
    assert run.oof is None and run.submission is not None
    assert run.scores["name"].to_list() == list(run.targets)
    assert run.score == pytest.approx((run.scores["share"] * run.scores["score"]).sum())
    for name, target in run.targets.items():
        assert target.folder == run.folder / name and target.oof is not None and target.report.path.exists()
        assert target.score == run.scores.filter(name=name)["score"].item()


def test_a_blend_compares_methods_and_members(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = fl.blend("rides", blend={"trials": 5}, quiet=True)
    assert capfd.readouterr() == ("", "")
    stored = artefacts.read_json(run.folder / "blend.json")
    assert run.methods["method"].to_list() == [each["method"] for each in stored["methods"]]
    assert run.members["label"].to_list() == ["hybrid", "lightgbm"]
    assert run.comparisons[""].path == run.folder / "blend.html" and run.submission is not None
