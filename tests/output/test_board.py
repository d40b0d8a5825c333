"""`board` and `clean`: ranks, intervals, differences by hand; what a ledger entry needs goes by its own name only."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import tiny

from foldline.api import asked
from foldline.cli.main import main
from foldline.core import files
from foldline.experiment import clean, runs_index
from foldline.output import board
from foldline.run import ledger

DATA = {"metric": "mae", "source": "rides", "target": ["speed"]}


def experiment(name: str, number: int, scores: list[float], cells: list[str], **config: Any) -> Path:
    """Record an experiment as `train` does; its cells are there afterwards, each trained for half a minute."""
    folder = files.runs() / name / f"{number:016x}"
    tables = {"data": DATA, **config}
    value = {
        "config": tables,
        "cells": [{"key": key} for key in cells],
        "scores": [["blend", scores]],
        "interval": [scores[-1] - 0.125, scores[-1] + 0.25],
        "blend": {"method": "hill-climb", "labels": ["a", "b"], "weights": [0.25, 0.75]},
    }
    files.write_json(folder / "experiment.json", value)
    files.write_text(folder / "submission.csv", f"{name}{number}")
    for key in cells:
        cell(key)
    files.replace_symlink(folder.parent / "latest", folder)
    return folder


def cell(key: str, **depends: Any) -> Path:
    """A finished cell, unless it is there."""
    folder = files.runs() / "cells" / key
    if not folder.exists():
        files.write_json(folder / "depends.json", {"data": {"fingerprint": "train"}, **depends})
        files.write_json(folder / "done.json", {"time.train_s": 30.0})
    return folder


def submitted(name: str, number: int, **scores: str) -> None:
    """Enter an experiment's submission into the ledger of real data."""
    sha256 = files.sha256(files.runs() / name / f"{number:016x}" / "submission.csv")
    entry = {"sha256": sha256, "config": name, "experiment": f"{number:016x}"}
    ledger.add_entry(ledger.ledger_path(simulated=False), entry)
    ledger.add_scores(ledger.ledger_path(simulated=False), sha256, scores.get("public", ""), scores.get("private", ""))


@pytest.fixture
def house(home: Path) -> Path:
    """Two names, three experiments, one submitted that is not the latest of its name; runs/."""
    cell("first")
    cell("student", start="first", teacher={"cells": ["teacher"]})
    cell("teacher")
    experiment("rides", 1, [0.5, 0.7, 0.6], ["student"], train={"lr": 0.1, "epochs": 3})
    submitted("rides", 1, public="0.61")
    experiment("rides", 2, [0.4, 0.6, 0.5], ["two", "three"], train={"lr": 0.2, "epochs": 3})
    experiment("walks", 3, [0.9, 0.9], ["three", "six"], train={"epochs": 3})
    experiment("old", 4, [0.8, 0.8], ["four", "two"])
    experiment("old", 5, [0.8, 0.8], ["five"])
    cell("trial")
    (files.runs() / "store" / "s").mkdir(parents=True)
    (files.runs() / "store" / "s" / "x.npy").write_bytes(bytes(1000))
    return files.runs()


def lines(capsys: pytest.CaptureFixture[str], *names: str) -> list[dict[str, Any]]:
    tiny.run("board", *names, "--json")
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    return list(group["lines"])


def test_experiments_are_ranked_and_distinguished(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best, other = lines(capsys, "rides")
    assert (best["experiment"], best["score"], best["differs"], best["latest"]) == (f"rides/{2:016x}", 0.5, [], True)
    assert (other["score"], other["public"], other["private"], other["latest"]) == (0.6, "0.61", "", False)
    assert other["differs"] == ["train.lr=0.1"] and other["blend"] == "b 0.75 + a 0.25"
    assert (best["cells"], best["minutes"]) == (2, 1.0)
    assert (other["cells"], other["minutes"]) == (1, 1.5)  # with its teacher, and the cell that it started from


def test_a_blocks_width_that_follows_its_models_is_not_repeated() -> None:
    wide, narrow = ({"model.0.width": width, "model.0.blocks.0.width": width} for width in (8, 4))
    assert board.differences(wide, narrow) == ("model.0.width=4",)
    own = {**narrow, "model.0.blocks.0.width": 2}
    assert board.differences(wide, own) == ("model.0.blocks.0.width=2", "model.0.width=4")


def test_keys_that_are_left_out_and_lost_cells_are_shown(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(house / "cells" / "three")
    best, _, other = lines(capsys, "rides", "walks")
    assert (other["differs"], best["minutes"]) == (["without train.lr=0.2"], None)


def test_intervals_are_those_that_were_recorded(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [(line["low"], line["high"]) for line in lines(capsys, "rides")] == [(0.375, 0.75), (0.475, 0.85)]
    path = house / "rides" / f"{2:016x}" / "experiment.json"
    for interval in ({"interval": [None, None]}, {}):  # a single series; a run from before there were intervals
        value = {name: part for name, part in files.read_json(path).items() if name != "interval"}
        files.write_json(path, value | interval)
        assert lines(capsys, "rides")[0]["low"] is None


def test_only_the_same_data_and_metric_are_compared(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell("elsewhere", data={"fingerprint": "other"})
    experiment("rides", 6, [0.1, 0.1], ["elsewhere"])
    for number, changes in ((7, {"observed": 3}), (8, {"scored": "coasting == 0"}), (9, {"metric": "mse"})):
        experiment("rides", number, [0.1, 0.1], ["two"], data={**DATA, **changes})
    tiny.run("board", "rides", "--json")
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert [len(group["lines"]) for group in groups] == [2, 1, 1, 1, 1]


def test_time_folds_are_compared_where_they_hold_out_the_same(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_time = {"kind": "time", "k": 3, "by": "day", "gap": 0.0}
    for number, changes in ((6, {}), (7, {"gap": 2.0}), (8, {"k": 4}), (9, {"by": "week"})):
        experiment("rides", number, [0.1, 0.1], ["two"], folds={**by_time, **changes})
    tiny.run("board", "rides", "--json")
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert [len(group["lines"]) for group in groups] == [2, 2, 1, 1]


def test_a_fold_file_that_leaves_series_out_has_a_table_of_its_own(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, left in ((6, {}), (7, {"held_out": 90}), (8, {"held_out": 90})):
        folder = experiment("rides", number, [0.1, 0.1], ["two"], folds={"kind": "group", "file": "mine.csv"})
        files.write_json(folder / "experiment.json", files.read_json(folder / "experiment.json") | left)
    tiny.run("board", "rides", "--json")
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert [len(group["lines"]) for group in groups] == [3, 2]


def test_a_real_run_is_on_the_board(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = lines(capsys)
    assert line["low"] < line["score"] < line["high"] and line["minutes"] > 0 and line["latest"]
    tiny.run("board")
    assert "best: rides/" in capsys.readouterr().out
    assert main(["board", "riddes"]) == 2
    assert "Did you mean 'rides'?" in capsys.readouterr().err


def test_each_table_has_a_best_of_its_own(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell("elsewhere", data={"fingerprint": "other"})
    experiment("walks", 6, [0.1, 0.1], ["elsewhere"], data={**DATA, "source": "walks", "metric": "rmse"})
    tiny.run("board", "--quiet")
    assert capsys.readouterr().out.splitlines() == [
        f"best on rides: rides/{2:016x}, mae 0.50000",
        f"best on walks: walks/{6:016x}, rmse 0.10000",
    ]


def test_tables_say_what_simulated_data_are(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    breaths = {"competition": "ventilator", "breaths": 1500, "test_breaths": 300, "seed": 0}
    for number, changes in ((6, breaths), (7, {"competition": "gestures", "breaths": 600, "seed": 3}), (8, {})):
        cell(f"cell {number}", data={"fingerprint": f"print {number}"})
        data = {**DATA, "source": "simulate", "simulate": changes}
        experiment("toy", number, [0.1], [f"cell {number}"], data=data)
    tiny.run("board")
    titles = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("simulated", "rides"))]
    assert titles == [
        "rides",
        "simulated ventilator, 1,500 breaths, seed 0 (training data print 6)",  # 1,500 are the default
        "simulated gestures, 600 series, seed 3",
        "simulated ventilator, 1,500 breaths, seed 0 (training data print 8)",
    ]


def test_an_experiment_is_described_in_a_line(house: Path) -> None:
    folder = house / "rides" / f"{2:016x}"
    line = f"rides/{2:016x}: b 0.75 + a 0.25, out-of-fold mae 0.50000"
    assert runs_index.describe(folder) == line  # a bundle's experiment does not say how it was made
    files.write_json(folder / "made.json", {"command": "./run.sh blend rides"})
    os.utime(folder / "experiment.json", (0.0, time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1))))
    assert runs_index.describe(folder) == f"{line}, made by `blend` 2026-01-02 03:04"
    files.write_json(folder / "made.json", {"command": asked.command("train", [{"name": "rides"}], [])})
    assert runs_index.describe(folder) == f"{line}, made by `train` 2026-01-02 03:04"
    value = files.read_json(folder / "experiment.json")
    value["blend"] = {"method": "lightgbm", "labels": ["a", "b"], "boosters": ["tree"]}
    files.write_json(folder / "experiment.json", value)
    assert runs_index.describe(folder).startswith(f"rides/{2:016x}: LightGBM stack of a, b, ")


def test_without_experiments_the_way_to_one_is_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board"]) == 2
    assert "Run `./run.sh train` first" in capsys.readouterr().err
    tiny.run("clean")
    assert "nothing was deleted" in capsys.readouterr().out


def kinds() -> dict[str, set[str]]:
    """Kind -> names of what is of it."""
    found: dict[str, set[str]] = {}
    for item in clean.survey():
        hashed = item.path.parent.name not in ("cells", "outside", "store")
        name = item.path.name.lstrip("0") if hashed else item.path.name
        found.setdefault(item.kind, set()).add(name)
    return found


def test_everything_has_the_strongest_reason_to_stay(house: Path) -> None:
    assert kinds() == {
        "caches": {"s"},
        "unused": {"trial"},
        "old": {"4", "four"},
        "ledger": {"1", "first", "student", "teacher"},
        "kept": {"2", "3", "5", "two", "three", "five", "six"},
    }


def test_only_named_kinds_go_and_the_ledger_keeps_its_own(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = kinds()
    tiny.run("clean")
    tiny.run("clean", "caches", "unused", "old")  # there is no terminal to answer the question
    assert "--force deletes without asking" in capsys.readouterr().out and kinds() == before
    tiny.run("clean", "caches", "unused", "old", "--force", "--json")
    assert json.loads(capsys.readouterr().out)["freed"] > 1000
    assert kinds() == {kind: before[kind] for kind in ("ledger", "kept")}
    tiny.run("clean", "ledger", "--force")
    assert kinds() == {"kept": before["kept"]}


def test_what_a_person_put_beside_experiments_is_never_deleted(house: Path) -> None:
    """As a bundle with out=runs/rides/mine."""
    notes = house / "rides" / "mine" / "notes.md"
    files.write_text(notes, "first try")
    tiny.run("clean", *clean.KINDS, "--force")
    assert notes.exists() and "mine" in kinds()["kept"]


class Keyboard(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


def test_a_person_is_asked_and_a_script_is_not(
    house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags, typed, gone in ((["--json"], "y\n", False), ([], "n\n", False), ([], "", False), ([], "y\n", True)):
        monkeypatch.setattr("sys.stdin", Keyboard(typed))
        tiny.run("clean", "unused", *flags)
        assert ("trial" not in kinds().get("unused", set())) == gone
        output = capsys.readouterr().out
        assert json.loads(output)["freed"] == 0 if flags else "Delete 1 items" in output


@pytest.mark.parametrize("path", [f"cells/.trial{clean.GONE}", f"store/.s{clean.GONE}", f"old/.x{clean.GONE}"])
def test_an_interrupted_deletion_is_finished_by_the_next(
    house: Path, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(house / "old" / f"{5:016x}", house / path)
    assert len(lines(capsys)) == 5  # what is half gone is no experiment
    tiny.run("clean", "caches", "--force")
    assert not (house / path).exists() and "caches" not in kinds()


def test_what_a_search_an_audit_and_the_outside_left_stays_with_its_latest(house: Path) -> None:
    (house / "rides" / "audit").mkdir()
    for number, keys in ((7, ["trial", "gone-since"]), (8, ["student"])):
        folder = house / "search" / f"{number:016x}"
        runs_index.note_cells(folder, keys)
        runs_index.note_cells(folder, keys)  # it goes on
        assert (folder / "cells.txt").read_text().split() == sorted(keys)
        files.replace_symlink(folder.parent / "latest", folder)
    value = {**files.read_json(house / "rides" / f"{2:016x}" / "experiment.json")}
    value["outside"] = [{"label": "friend", "source": "f", "tests": {"print": "outside/f-print/test.npy"}}]
    files.write_json(house / "rides" / f"{2:016x}" / "experiment.json", value)
    for name in ("f-print", "g-print"):
        files.write_text(house / "outside" / name / "test.npy", name)
    found = kinds()
    assert {"audit", "8", "student", "first", "teacher", "f-print"} <= found["kept"]
    assert {"7", "trial"} <= found["old"] and found["unused"] == {"g-print"}


def test_cells_are_noted_whole_in_a_list_that_was_cut_off(tmp_path: Path) -> None:
    runs_index.note_cells(tmp_path, ["first", "second"])
    (tmp_path / "cells.txt").write_bytes(b"first\nse\xff")
    runs_index.note_cells(tmp_path, ["first", "second"])
    assert {"first", "second"} <= runs_index.noted_cells(tmp_path)


def test_a_damaged_record_is_named_and_the_others_are_listed(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = house / "rides" / f"{2:016x}"
    (folder / "experiment.json").write_text("{")
    tiny.run("board")
    output = capsys.readouterr()
    assert f"warning: {folder} is damaged: experiment.json can't be read. Run `./run.sh train rides`" in output.err
    assert f"rides/{1:016x}" in output.out and f"rides/{2:016x}" not in output.out
    before = tiny.tree(house)
    assert main(["clean", "unused", "old", "--force"]) != 0  # nobody knows which cells it needs
    assert tiny.tree(house) == before and f"{folder} is damaged" in capsys.readouterr().err


def test_nothing_is_deleted_while_a_run_goes_on(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = house / "locks" / "three"
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert main(["clean", "unused", "--force"]) == 2
        output = capsys.readouterr()
        tiny.run("clean")
    assert "Nothing is deleted while a run goes on" in output.err and kinds()["unused"] == {"trial"}
    assert "a run goes on (it holds three): its finished cells count as unused" in capsys.readouterr().out
    tiny.run("clean")
    assert "a run goes on" not in capsys.readouterr().out


def test_what_real_runs_need_is_kept(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tiny.submission(trained)
    tiny.run("clean", "caches", "unused", "old", "bench", "--force")
    assert not list((trained / "runs" / "store").iterdir())
    tiny.run("infer", "rides")
    written = next((trained / "runs" / "rides" / "latest").glob("infer-*.csv"))
    assert written.read_bytes() == before
    with (trained / "submissions" / "ledger.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 1


def test_a_higher_score_ranks_first_where_it_is_better(home: Path) -> None:
    """And macro-F1 is not compared with micro-F1."""
    data = {**DATA, "metric": "f1", "metric_options": {"average": "macro"}}
    for number, score in enumerate((0.5, 0.75, 0.25)):
        folder = experiment("songs", number, [score], ["a"], data=data)
        value = {**files.read_json(folder / "experiment.json"), "higher_is_better": True}
        files.write_json(folder / "experiment.json", value)
    experiment("micro", 9, [0.9], ["a"], data={**data, "metric_options": {"average": "micro"}})
    one, other = board.groups(runs_index.experiments())
    assert [line.score for line in one.lines] == [0.75, 0.5, 0.25] and [line.score for line in other.lines] == [0.9]
