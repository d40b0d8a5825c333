"""The live page's parts: what they say in each stage of a run, and that nothing from outside is HTML in them."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html import unescape
from pathlib import Path

import live_runs
import pytest
from live_runs import DEAD, cell

from foldline.output.live import page
from foldline.output.live.machine_load import Gpu, Load
from foldline.output.live.watched_run import Reader, WatchedRun

NOW = time.time()
LOADS = [
    Load(NOW + number, 40.0 + number, 4 << 30, 16 << 30, (Gpu("H200 <b>", 80.0, 1 << 30, 8 << 30),))
    for number in range(4)
]


def read(runs: Path) -> WatchedRun:
    return Reader("rides", runs).read()


def parts(runs: Path) -> dict[str, str]:
    return page.parts(read(runs), LOADS, (3, 1 << 30))


def rows_of(html: str) -> list[list[str]]:
    """The texts of a table's rows, its head first."""
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [[unescape(text) for text in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def test_while_it_trains(tmp_path: Path) -> None:
    cells = [
        cell(0, state="done", done=1.0, began=NOW - 50, ended=NOW - 30, held_out=1.25),
        cell(1, state="training", done=0.5, began=NOW - 10),
        cell(2, remark="another run trains it"),
        cell(3),
    ]
    live_runs.write(tmp_path, live_runs.run(*cells, notes=["hybrid fold 1 seed 0: batches are halved"]))
    live_runs.epochs(tmp_path, cells[1], 5)
    shown = parts(tmp_path)
    assert shown["title"] == "37 % · rides · live · foldline"
    assert shown[".lead"].startswith("train, begun ") and "about " in shown[".lead"] and " left." in shown[".lead"]
    assert "37 %" in shown[".facts"] and "1 of 4" in shown[".facts"]
    tiles = shown["#cells .part"]
    assert [f"'tile {state}'" in tiles for state in ("done", "training", "waiting", "failed")] == [True] * 3 + [False]
    assert "1.2500" in tiles and "50 %" in tiles and "another run trains it" in tiles and "batches are halved" in tiles
    assert "their mean" in shown["#scores .part"] and "1.2500" in shown["#scores .part"]
    assert "<svg" in shown["#learning-curves .part"] and "watched mae" in shown["#learning-curves .part"]
    machine = shown["#machine .part"]
    assert all(text in machine for text in ("43 %", "25 % of 16.0 GiB", "80 %", "GPU 0, H200 &lt;b&gt;", "1.0 GiB"))


def test_folds_of_several_seeds_are_averaged(tmp_path: Path) -> None:
    done = {"state": "done", "done": 1.0}
    cells = [
        cell(0, held_out=1.0, **done),
        cell(0, key="b", seed=1, held_out=2.0, **done),
        cell(1, held_out=3.0, **done),
    ]
    live_runs.write(tmp_path, live_runs.run(*cells))
    shown = parts(tmp_path)
    assert ["hybrid", "1.5000", "3.0000", "2.0000"] in rows_of(shown["#scores .part"])
    assert "fold 0, seed 1" in shown["#cells .part"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"state": "failed", "error": "no <space> left"}, "has failed: no &lt;space&gt; left"),
        ({"state": "stopped"}, "was stopped, last seen"),
        ({"process": DEAD}, "run the same command again"),
        ({"state": "trained"}, "report come next"),
        ({"part": "rides.speed"}, "train of rides.speed"),
        ({"began": NOW - 3e5}, time.strftime("%Y-%m-%d", time.localtime(NOW - 3e5))),
    ],
)
def test_the_lead_of_every_stage(given: dict[str, object], said: str, tmp_path: Path) -> None:
    live_runs.write(tmp_path, live_runs.run(cell(0, state="training", done=0.5), cell(1), **given))
    shown = parts(tmp_path)
    assert said in shown[".lead"]
    goes_on = given.keys() <= {"part", "began"}
    assert ("stopped at 50 %" in shown["#cells .part"]) != goes_on


def test_before_and_after(tmp_path: Path) -> None:
    assert "Nothing of rides has run yet" in parts(tmp_path)[".lead"]
    done = cell(0, state="done", done=1.0)
    folder = live_runs.write(tmp_path, live_runs.run(done, state="trained"))
    live_runs.record(folder, done)
    (folder / "report.html").write_text("<p>")
    shown = parts(tmp_path)
    assert "finished." in shown[".lead"] and "1.1250" in shown[".facts"] and "href='page'" in shown["#scores .part"]
    rows = rows_of(shown["#scores .part"])
    assert rows[0] == ["out-of-fold mae", "fold 0", "fold 1", "all rows"]
    assert rows[1] == ["baseline: constant", "2.0000", "–", "1.9000"] and rows[-1][0] == "blend <i>"
    assert "blend &lt;i&gt;" in shown["#scores .part"]


def test_scores_of_all_rows_alone_stand_in_the_last_column(tmp_path: Path) -> None:
    run = replace(
        WatchedRun(name="rides", now=NOW, stage="finished"), record={"scores": [["a", [1.0, 2.0, 3.0]], ["b", [4.0]]]}
    )
    rows = rows_of(page.parts(run, [], (0, 0))["#scores .part"])
    assert rows[-1] == ["b", "", "", "4.0000"]


def test_names_are_no_html(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    cells = [cell(0, label=evil, name=evil, state="failed", remark=evil), cell(1, remark=evil)]
    live_runs.write(tmp_path, live_runs.run(*cells, notes=[evil], part=evil, metric=evil, error=evil, state="failed"))
    assert "<script" not in "".join(text for place, text in parts(tmp_path).items() if place != "title")
    whole = page.whole(replace(read(tmp_path), name=evil), LOADS, (0, 0))
    assert whole.count("<script") == 1 and "<script src='live.js' defer></script>" in whole


def test_the_whole_page_has_every_part_in_its_place(tmp_path: Path) -> None:
    live_runs.write(tmp_path, live_runs.run(cell(0)))
    run = read(tmp_path)
    whole, shown = page.whole(run, LOADS, (0, 0)), page.parts(run, LOADS, (0, 0))
    assert whole.count("class='part'") == len(page.SECTIONS) == len(shown) - 3
    assert all(inside in whole for place, inside in shown.items() if place not in ("title", ".lead"))
