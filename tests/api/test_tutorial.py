"""The tutorial: its source runs as a script, is short, and is what the notebook beside it holds."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import polars as pl
import pytest
from checkout import REPOSITORY

import foldline as fl

FOLDER = REPOSITORY / "docs" / "tutorial"
SOURCE = (FOLDER / "tutorial.py").read_text(encoding="utf-8")
NOTEBOOK = json.loads((FOLDER / "tutorial.ipynb").read_text(encoding="utf-8"))
SMALL = {"breaths=600, test_breaths=100": "breaths=18, test_breaths=3", '"epochs": 10': '"epochs": 1', ": 200}": ": 5}"}
LIMIT = 20  # lines of Python to a submission


def cells(kind: str) -> list[str]:
    """Texts of the notebook's cells of a kind."""
    return ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == kind]


def code() -> str:
    """The tutorial without comments and empty lines."""
    return "\n".join(line for line in SOURCE.splitlines() if line and not line.startswith("#"))


@pytest.mark.slow
def test_it_runs_as_a_script(home: Path, tmp_path: Path) -> None:
    text = SOURCE
    for whole, small in SMALL.items():
        assert text.count(whole) == 1, whole
        text = text.replace(whole, small)
    seen: dict[str, object] = {}
    exec(compile(text, "tutorial.py", "exec"), seen)  # in tmp_path, with a home folder of its own
    run, data = seen["run"], seen["data"]
    assert isinstance(run, fl.Run) and run.submission is not None and isinstance(data, fl.Simulated)
    assert run.submission["id"].equals(data.test["id"]) and run.scores["name"].to_list()[-1].startswith("blend")
    answers = fl.load("tutorial").predict(data.test.head(80))
    assert isinstance(answers, pl.DataFrame) and answers["id"].equals(data.test["id"].head(80))


def test_it_is_short() -> None:
    assert len(code().splitlines()) < LIMIT


def test_the_notebook_holds_the_source_and_outputs() -> None:
    assert "\n".join(cells("code")).replace("\n\n", "\n") == code(), "docs/tutorial/make.py makes it again"
    prose = [line[1:].removeprefix(" ") for line in SOURCE.splitlines() if re.match(r"#(?! %%)", line)]
    assert "\n".join(cells("markdown")).splitlines() == prose
    shown = [bool(cell["outputs"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert shown.count(False) == 1, "all but the config show something"


@pytest.mark.parametrize("word", ["Traceback", "Error", str(Path.home()) + os.sep, "/tmp", "wandb: "])
def test_the_notebook_shows_no_trouble_and_no_machine(word: str) -> None:
    outputs = json.dumps([cell.get("outputs", []) for cell in NOTEBOOK["cells"]])
    assert word not in outputs and len(outputs) < 100_000
