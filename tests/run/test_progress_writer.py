"""progress.json while cells are trained: every kind of event, how a run ends, and that nothing depends on the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import tiny

from foldline.cli.main import main
from foldline.core import files
from foldline.core.errors import Finding, UserError
from foldline.run import cell_training, progress_file, progress_writer, run_end
from foldline.run.progress_file import CellProgress, RunProgress
from foldline.run.progress_writer import ELSEWHERE, ProgressWriter
from foldline.run.turns import CellFailed


def job(key: str, done: bool = False, force: bool = False) -> Any:
    """As much of a job as the writer looks at."""
    return SimpleNamespace(key=key, force=force, cell=SimpleNamespace(done=done))


def writer(home: Path, warned: list[str] | None = None, **given: Any) -> ProgressWriter:
    """A writer about two cells, a and b."""
    run = progress_writer.run_of("rides", "train", files.runs() / "rides" / "12", "mae", "regression", 1)
    cells = {key: CellProgress(key=key, name=f"cell {key}", label="hybrid", fold=0, seed=0) for key in "ab"}
    for name, value in given.items():
        setattr(run, name, value)
    return ProgressWriter(run, cells, [].append if warned is None else warned.append)


def stored(home: Path) -> RunProgress:
    found = progress_file.read(home / "runs" / "rides" / "12" / "progress.json")
    assert found is not None
    return found


def states(home: Path) -> list[tuple[str, float]]:
    return [(cell.state, cell.done) for cell in stored(home).cells]


def test_events_are_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_writer, "PERIOD_S", 0.0)
    with writer(home) as written:
        assert states(home) == [("waiting", 0.0), ("waiting", 0.0)] and stored(home).state == "training"
        written.event(job("a"), "start", {})
        written.event(job("a"), "waiting", {})
        assert stored(home).cells[0].remark == ELSEWHERE
        written.event(job("a"), "progress", {"done": 1, "of": 4})
        written.event(job("a"), "note", {"text": "batches are halved"})
        assert states(home) == [("training", 0.25), ("waiting", 0.0)] and stored(home).cells[0].remark == ""
        assert stored(home).notes == ["cell a: batches are halved"]
        written.event(job("a"), "done", {"metric": "mae", "held_out": 0.5})
        first = stored(home).cells[0]
        assert (first.state, first.done, first.held_out) == ("done", 1.0, 0.5)
        assert first.began is not None and first.ended is not None and first.began <= first.ended
    assert stored(home).state == "trained"


def test_a_score_that_is_not_finite_is_null_as_programs_read_the_file(home: Path) -> None:
    with writer(home) as written:
        written.event(job("a"), "start", {})
        written.event(job("a"), "done", {"metric": "rmsle", "held_out": float("inf")})
    text = (home / "runs" / "rides" / "12" / "progress.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["cells"][0]["held_out"] is None


def test_what_was_done_before_is_told_apart(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_writer, "PERIOD_S", 0.0)
    with writer(home) as written:
        written.event(job("a"), "start", {})
        written.event(job("a"), "resumed", {"epoch": 3, "step": 0})
        written.event(job("a"), "progress", {"done": 3, "of": 4})
        written.event(job("a"), "progress", {"done": 3.5, "of": 4})
        written.event(job("b", done=True), "start", {})  # it is trained, and predicts another test table
        assert [cell.before for cell in stored(home).cells] == [0.75, 1.0] and states(home)[0] == ("training", 0.875)
        written.event(job("b", done=True, force=True), "start", {})
        assert stored(home).cells[1].before == 0.0


def test_shares_wait_for_their_time_and_beginnings_and_ends_do_not(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with writer(home) as written:
        written.event(job("a"), "start", {})
        now[0] = 100.5
        written.event(job("a"), "progress", {"done": 1, "of": 4})
        written.event(job("a"), "epoch", {"epoch": 1})
        assert states(home)[0] == ("training", 0.0)
        now[0] = 101.0
        written.event(job("a"), "progress", {"done": 2, "of": 4})
        assert states(home)[0] == ("training", 0.5)
        written.event(job("a"), "done", {})
        assert states(home)[0] == ("done", 1.0)


@pytest.mark.parametrize(
    ("error", "state", "cell"),
    [
        (CellFailed("the loss is not finite", "a"), "failed", "failed"),
        (RuntimeError("a bug"), "failed", "training"),
        (KeyboardInterrupt(), "stopped", "training"),
        (SystemExit(143), "stopped", "training"),
    ],
)
def test_how_a_run_ends_is_written(error: BaseException, state: str, cell: str, home: Path) -> None:
    with pytest.raises(type(error)), writer(home) as written:
        written.event(job("a"), "start", {})
        raise error
    found = stored(home)
    assert (found.state, found.cells[0].state) == (state, cell)
    assert found.error == (str(error) if state == "failed" else "")


@pytest.mark.parametrize(
    ("error", "state"),
    [(UserError("no space"), "failed"), (KeyboardInterrupt(), "stopped"), (Finding("refused by the gate"), "trained")],
)
def test_how_it_ends_after_its_cells_is_written_too(error: BaseException, state: str, home: Path) -> None:
    with pytest.raises(type(error)), run_end.watched():
        with writer(home):
            pass
        raise error
    assert (stored(home).state, stored(home).error) == (state, str(error) if state == "failed" else "")


def test_of_two_runs_of_a_verb_in_one_folder_the_later_one_is_told(home: Path) -> None:
    run, only = writer(home).run, CellProgress(key="c", name="cell c", label="hybrid", fold=0, seed=0)
    with pytest.raises(CellFailed), run_end.watched():
        with writer(home):
            pass
        with ProgressWriter(run, {"c": only}, print):
            raise CellFailed("the loss is not finite", "c")
    assert [(cell.key, cell.state) for cell in stored(home).cells] == [("c", "failed")]


def test_cells_that_failed_stay_when_their_process_goes_on_without_them(home: Path) -> None:
    with pytest.raises(CellFailed), writer(home):
        raise CellFailed("the loss is not finite", "a")
    run, only = writer(home).run, CellProgress(key="b", name="cell b", label="hybrid", fold=0, seed=0)
    with ProgressWriter(run, {"b": only}, print):
        assert [(cell.key, cell.state) for cell in stored(home).cells] == [("b", "waiting"), ("a", "failed")]
    with writer(home, process_began=run.process_began - 99):  # another process: it tries all of them again
        assert [(cell.key, cell.state) for cell in stored(home).cells] == [("a", "waiting"), ("b", "waiting")]


def test_the_file_of_a_process_that_trains_the_same_stays(home: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    theirs = {"process": other.pid, "process_began": psutil.Process(other.pid).create_time()}
    try:
        writer(home, **theirs)._write()
        with writer(home):
            assert stored(home).process == other.pid
    finally:
        other.communicate()
    with writer(home):  # it has ended without saying so, as by a kill
        assert stored(home).process == os.getpid()


def test_a_disk_that_takes_no_more_ends_no_training(home: Path) -> None:
    (home / "runs").mkdir()
    (home / "runs" / "rides").touch()  # a file where a folder is needed
    warned: list[str] = []
    with writer(home, warned) as written:
        written.event(job("a"), "start", {})
    (line,) = warned
    assert "progress.json" in line and "live" in line


def test_a_run_lists_all_its_cells_with_those_that_were_finished(trained: Path) -> None:
    """A second run with a learning rate of its own for the hybrid: LightGBM's cells are finished, and scored again."""
    tiny.run("train", "rides", "model.0.train.lr=1e-3")
    runs = [progress_file.read(path) for path in (trained / "runs" / "rides").glob("[!l]*/progress.json")]
    first, second = sorted((run for run in runs if run is not None), key=lambda run: run.began)
    assert [cell.name for cell in second.cells] == [cell.name for cell in first.cells]
    assert [cell.state for cell in second.cells] == ["done"] * 4 and second.state == "trained"
    assert [cell.before for cell in second.cells] == [0.0, 0.0, 1.0, 1.0]
    scores = [[cell.held_out for cell in run.cells if cell.label == "lightgbm"] for run in (first, second)]
    assert scores[0] == scores[1] and None not in scores[0]
    assert {cell.key for cell in second.cells} >= {cell.key for cell in first.cells if cell.label == "lightgbm"}


def test_a_cell_that_fails_is_named(rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise UserError("nothing was learned")

    monkeypatch.setattr(cell_training, "_train", fail)
    assert main(["train", "rides"]) == 2
    (path,) = (home / "runs" / "rides").glob("*/progress.json")
    run = progress_file.read(path)
    assert run is not None and (run.state, run.error) == ("failed", "nothing was learned")
    assert [cell.state for cell in run.cells] == ["failed", "waiting", "waiting", "waiting"]
    assert run.cells[0].remark == "nothing was learned"
