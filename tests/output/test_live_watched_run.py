"""What `live` reads: runs that go on, were killed, have ended; and what may happen to files meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import live_runs
import pytest
import tiny
from live_runs import DEAD, cell

from foldline.output.live import names, newest
from foldline.output.live.watched_run import Reader


def stage(runs: Path) -> str:
    return Reader("rides", runs).read().stage


def test_nothing_has_run_yet(tmp_path: Path) -> None:
    found = Reader("rides", tmp_path / "runs").read()
    assert (found.stage, found.cells, newest(tmp_path / "runs")) == ("nothing", (), None)


def test_a_run_that_goes_on_with_the_epochs_of_its_cells(tmp_path: Path) -> None:
    cells = cell(0, state="training", done=0.5), cell(1)
    live_runs.write(tmp_path, live_runs.run(*cells))
    for each in cells:  # of the second one, what an earlier run has left
        live_runs.epochs(tmp_path, each, 3)
    reader = Reader("rides", tmp_path)
    assert stage(tmp_path) == "training" and [len(rows) for rows in reader.read().histories.values()] == [3]
    live_runs.epochs(tmp_path, cells[0], 4)
    assert [len(rows) for rows in reader.read().histories.values()] == [4]


def test_a_killed_run_was_stopped_and_another_run_may_have_finished_its_cells(tmp_path: Path) -> None:
    cells = cell(0, state="training", done=0.5), cell(1)
    live_runs.write(tmp_path, live_runs.run(*cells, process=DEAD))
    (tmp_path / "cells" / cells[1].key).mkdir(parents=True)
    (tmp_path / "cells" / cells[1].key / "done.json").touch()
    found = Reader("rides", tmp_path).read()
    assert found.stage == "stopped" and [each.state for each in found.cells] == ["training", "done"]


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_how_it_ended_is_kept(state: str, tmp_path: Path) -> None:
    shown = live_runs.run(cell(0), state=state)
    folder = live_runs.write(tmp_path, shown)
    assert stage(tmp_path) == state
    live_runs.record(folder, cell(0))
    for seconds, found in ((-9, state), (9, "finished")):  # recorded before that, as where a report fails; later
        os.utime(folder / "experiment.json", (shown.written + seconds, shown.written + seconds))
        assert stage(tmp_path) == found


def test_after_its_cells_a_run_makes_its_record(tmp_path: Path) -> None:
    done = cell(0, state="done", done=1.0)
    shown = live_runs.run(done, state="trained")
    folder = live_runs.write(tmp_path, shown)
    assert stage(tmp_path) == "concluding"
    live_runs.record(folder, done)
    found = Reader("rides", tmp_path).read()
    assert found.stage == "finished" and found.record is not None and found.page is None
    (folder / "report.html").write_text("<p>")
    assert Reader("rides", tmp_path).read().page == folder / "report.html"
    os.utime(folder / "experiment.json", (shown.began - 9, shown.began - 9))  # of an earlier run
    assert stage(tmp_path) == "concluding"
    live_runs.write(tmp_path, live_runs.run(done, state="trained", process=DEAD))
    assert stage(tmp_path) == "stopped"


def test_the_run_that_goes_on_is_shown_before_one_that_began_later(tmp_path: Path) -> None:
    live_runs.write(tmp_path, live_runs.run(cell(0), folder="rides/one", began=100.0))
    live_runs.write(tmp_path, live_runs.run(cell(1), folder="rides/two", began=200.0, state="stopped"))
    live_runs.write(tmp_path, live_runs.run(cell(2), folder="rides/three/speed", part="rides.speed", began=50.0))
    found = Reader("rides", tmp_path).read()
    assert found.progress is not None and found.progress.folder == "rides/one"
    live_runs.write(tmp_path, live_runs.run(cell(0), folder="rides/one", began=100.0, state="stopped"))
    found = Reader("rides", tmp_path).read()
    assert found.progress is not None and found.progress.part == "rides.speed"


def test_the_newest_name_is_that_of_the_run_that_goes_on(tmp_path: Path) -> None:
    live_runs.write(tmp_path, live_runs.run(cell(0), folder="songs/one", began=100.0, state="stopped"))
    live_runs.write(tmp_path, live_runs.run(cell(0), folder="rides/one", began=50.0, state="stopped"))
    (tmp_path / "cells").mkdir()
    assert (names(tmp_path), newest(tmp_path)) == (["rides", "songs"], "songs")
    live_runs.write(tmp_path, live_runs.run(cell(0), folder="rides/one", began=50.0))
    assert newest(tmp_path) == "rides"


def test_half_files_are_not_shown(tmp_path: Path) -> None:
    folder = live_runs.write(tmp_path, live_runs.run(cell(0), state="trained"))
    (folder / "experiment.json").write_text('{"scores": [')
    assert stage(tmp_path) == "concluding"
    (folder / "progress.json").write_text("{")
    assert stage(tmp_path) == "nothing"


def test_a_real_run_and_one_of_a_version_that_left_no_progress(trained: Path) -> None:
    found = Reader("rides", trained / "runs").read()
    assert (found.stage, found.metric, len(found.cells)) == ("finished", "mae", 4) and newest(
        trained / "runs"
    ) == "rides"
    assert found.page is not None and found.page.name == "report.html" and len(found.histories) == 4
    (trained / "runs" / "rides" / "latest" / "progress.json").unlink()
    older = Reader("rides", trained / "runs").read()
    assert (older.stage, older.metric, older.kind) == ("finished", "mae", "regression")
    assert [(each.name, each.state) for each in older.cells] == [(each.name, each.state) for each in found.cells]
    assert older.histories == found.histories and older.page == found.page


@pytest.mark.slow
def test_an_ablation_is_a_run_too(rides: Path, home: Path) -> None:
    (home / "configs" / "ablate-rides.toml").write_text(
        'base = "rides.toml"\n[ablate]\nseeds = [0]\n[[variant]]\nname = "no lags"\ndrop = ["features.lags"]\n'
    )
    tiny.run("ablate", "ablate-rides", "model.0.train.epochs=1", "folds.k=2")
    found = Reader("ablate-rides", home / "runs").read()
    assert found.stage == "finished" and found.page is not None and found.page.name == "ablation.html"
    assert {each.label for each in found.cells} >= {"hybrid", "lightgbm", "hybrid (no lags)"}
