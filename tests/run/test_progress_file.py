"""progress.json and history.jsonl as whoever watches a run reads them: half a file, none, a process that is gone."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import psutil
import pytest

from foldline.core import files
from foldline.run import history, progress_file
from foldline.run.progress_file import CellProgress, RunProgress


def run_of(process: int, began: float) -> RunProgress:
    cells = [CellProgress(key="ab", name="hybrid fold 0 seed 0", label="hybrid", fold=0, seed=0, done=0.25)]
    return RunProgress(
        part="rides",
        verb="train",
        folder="rides/12",
        metric="mae",
        kind="regression",
        at_a_time=1,
        began=began,
        process=process,
        process_began=began,
        cells=cells,
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    run = run_of(7, 1.5)
    files.write_text(tmp_path / "progress.json", json.dumps(run.to_json()), durable=False)
    assert progress_file.read(tmp_path / "progress.json") == run and run.done == 0.25


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", "{}", '{"cells": 3}', '{"cells": [], "newer": 1}', '{"cells": [{}]}']
)
def test_what_is_no_progress_of_this_version_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_text(text)
    assert progress_file.read(tmp_path / "progress.json") is None


def test_no_file_is_none(tmp_path: Path) -> None:
    assert progress_file.read(tmp_path / "progress.json") is None


def test_a_process_is_known_by_its_number_and_its_beginning() -> None:
    began = psutil.Process().create_time()
    assert run_of(os.getpid(), began).alive
    assert not run_of(os.getpid(), began - 60).alive  # another one had the number
    assert not run_of(2**31 - 1, began).alive


@pytest.mark.parametrize(
    ("text", "epochs"),
    [
        ('{"epoch": 1}\n{"epoch": 2}\n', [1, 2]),
        ('{"epoch": 1}\n{"epoch": 2', [1]),  # being written
        ('{"epoch": 1}\n{"epoch": 2}', [1]),  # perhaps that is the whole line, perhaps 2 is the beginning of 20
        ("", []),
        ('{"epoch": 1}\n\x00\x00\n', []),
    ],
)
def test_a_history_is_read_up_to_its_last_whole_line(text: str, epochs: list[int], tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text(text)
    assert [row["epoch"] for row in progress_file.rows_of(tmp_path / "history.jsonl")] == epochs
    assert progress_file.rows_of(tmp_path / "none.jsonl") == []


def test_a_history_is_json_as_all_readers_know_it_also_where_a_score_is_not_finite(tmp_path: Path) -> None:
    def refused(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    path = tmp_path / "history.jsonl"
    seen = list[float]()
    with path.open("w", encoding="utf-8") as stream:
        emit = history.recording(lambda kind, **values: seen.append(values["watched"]), stream)
        emit("epoch", epoch=1, watched=float("nan"))
        emit("epoch", epoch=2, watched=float("inf"))
        emit("epoch", epoch=3, watched=0.5)
    lines = [json.loads(line, parse_constant=refused) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["watched"] for line in lines] == [None, None, 0.5]
    rows = progress_file.rows_of(path)
    assert [row["epoch"] for row in rows] == [1, 2, 3] and rows[2]["watched"] == 0.5
    assert math.isnan(rows[0]["watched"]) and math.isnan(rows[1]["watched"])  # numbers, for charts and tables
    assert math.isnan(seen[0]) and seen[1:] == [math.inf, 0.5]
