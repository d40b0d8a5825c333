"""The tutorial's files and commands, run as they stand in docs/how-to/own-competition.md, in an empty home folder."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from benchmarks.fault_injection import children

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "own-competition.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, _, text in FENCE.findall(PAGE) if kind == "sh" for line in text.splitlines()]
SCORE = re.compile(r"mae: ([\d.]+)")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Command -> what it printed; every one of them ended well."""
    home = tmp_path_factory.mktemp("newcomer")
    (home / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    for _, name, text in FENCE.findall(PAGE):
        if name:
            (home / name).parent.mkdir(exist_ok=True)
            (home / name).write_text(text, encoding="utf-8")
    return {command: run(command, home) for command in dict.fromkeys(COMMANDS)}


def run(command: str, home: Path) -> str:
    """One command, in the home folder: a verb in a process forked from one that has imported everything."""
    program, *words = shlex.split(command)
    if program == ".venv/bin/python":
        return subprocess.run([sys.executable, *words], cwd=home, capture_output=True, text=True, check=True).stdout
    assert program == "./run.sh"
    done = children.foldline(home, *words, environment={"WANDB_MODE": "disabled", "COLUMNS": "200"}, patience_s=600.0)
    assert done.code == 0, f"{command}\n{done.out}{done.err}"
    return done.out


def test_the_page_names_only_files_that_are_there() -> None:
    links = re.findall(r"\]\(([^)]+\.md)\)", PAGE)
    assert links and all((ROOT / "docs" / "how-to" / link).is_file() for link in links)
    assert len(COMMANDS) > 8


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_of_the_tutorial_works(answers: dict[str, str]) -> None:
    assert "nothing was trained; it would take about" in answers["./run.sh train rides --dry-run"]
    last = answers["./run.sh train rides"].splitlines()[-1]
    assert last.startswith("submission: submissions/rides-")
    assert "rides/" in answers["./run.sh board"]


@pytest.mark.slow
@pytest.mark.learned
@pytest.mark.timeout(900)
def test_the_test_score_is_near_the_out_of_fold_score(answers: dict[str, str]) -> None:
    table = answers["./run.sh train rides"]
    blend = next(line for line in table.splitlines() if "blend (" in line)
    out_of_fold = float(blend.split("│")[-2])
    (command,) = [command for command in COMMANDS if " score " in command]
    assert float(SCORE.findall(answers[command])[-1]) == pytest.approx(out_of_fold, rel=0.3)


def test_the_competition_has_series_of_many_lengths(tmp_path: Path) -> None:
    (script,) = [text for _, name, text in FENCE.findall(PAGE) if name == "make_rides.py"]
    (tmp_path / "make.py").write_text(script, encoding="utf-8")
    subprocess.run([sys.executable, "make.py"], cwd=tmp_path, check=True)
    train = pl.read_csv(tmp_path / "rides" / "train.csv")
    lengths = train.group_by("ride").len()["len"]
    assert lengths.n_unique() > 20 and train["row"].is_unique().all() and train["speed"].is_finite().all()
