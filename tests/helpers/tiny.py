"""A competition of a few series that trains in a second: bicycle rides, named like nothing else in the repository.

Tests write it with `write`, change `frames()` before that to make bad input, and run verbs with `run`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from foldline.cli.main import main

LIGHTGBM = """
[[model]]
name = "lightgbm"
rounds = 5
min_data_in_leaf = 2
"""  # small enough for all tiny competitions
SERIAL = """
[track]
wandb = "disabled"

[executor]
kind = "serial"
"""  # nothing is tracked, all is trained in the process of the test
CONFIG = """
[data]
id = "row"
key = "ride"
order = "second"
inputs = ["power", "coasting"]
static = ["bike"]
target = ["speed"]
scored = "coasting == 0"
source = "{source}"

[features]
families = ["raw", "time", "lags", "static"]
lags = {{lags = [1], leads = [1]}}

[folds]
kind = "stratified-group"
k = 2

[train]
epochs = 2
batch = 4
device = "cpu"

[[model]]
name = "hybrid"
width = 4
blocks = [{{kind = "bilstm"}}, {{kind = "conv", kernel = 3}}]
"""
CONFIG += LIGHTGBM + SERIAL


ROLES: dict[str, Any] = {  # of the rides' columns, in [data]
    "id": "row",
    "key": "ride",
    "order": "second",
    "inputs": ("power", "coasting"),
    "static": ("bike",),
    "target": ("speed",),
}


def rides(first: int, count: int, steps: int, seed: int) -> pl.DataFrame:
    """`count` labelled series of `steps` steps; rows and rides are numbered on from `first`."""
    rng = np.random.default_rng(seed)
    power = rng.uniform(0.0, 5.0, size=(count, steps))
    bike = np.arange(count) % 2
    speed = np.cumsum(power, axis=1) * (0.1 + 0.1 * bike[:, None]) + rng.normal(scale=0.01, size=power.shape)
    rows = count * steps
    return pl.DataFrame(
        {
            "row": np.arange(rows) + first * 1000,
            "ride": np.repeat(np.arange(count) + first, steps),
            "second": np.tile(np.arange(steps) * 0.5, count),
            "power": power.ravel(),
            "coasting": np.tile((np.arange(steps) >= 0.8 * steps).astype(int), count),
            "bike": np.repeat(np.where(bike == 1, 28, 20), steps),
            "speed": speed.ravel(),
        }
    )


def frames(train_series: int = 12, test_series: int = 4, steps: int = 10) -> dict[str, pl.DataFrame]:
    """The three tables, by the stem of their file."""
    test = rides(501, test_series, steps, seed=1).drop("speed")
    sample = test.select("row", speed=pl.lit(0.0))
    return {"train": rides(1, train_series, steps, seed=0), "test": test, "sample_submission": sample}


def write(folder: Path, tables: dict[str, pl.DataFrame]) -> Path:
    """Write tables as CSV files."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, table in tables.items():
        table.write_csv(folder / f"{stem}.csv")
    return folder


def install(home: Path, source: Path, name: str = "rides") -> Path:
    """Write the config of the rides in `source` under the home folder."""
    return configure(home, name, CONFIG.format(source=source))


@contextmanager
def home_in(folder: Path) -> Iterator[Path]:
    """Make FOLDER/home the home, and FOLDER the current folder, while it lasts: for what several tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOLDLINE_HOME", str(folder / "home"))
        patch.chdir(folder)
        yield folder / "home"


@contextmanager
def home_of_rides(folder: Path) -> Iterator[Path]:
    """The same, with the config of the rides in FOLDER/rides."""
    with home_in(folder) as home:
        install(home, write(folder / "rides", frames()))
        yield home


def configure(home: Path, name: str, text: str) -> Path:
    """Write configs/NAME.toml under the home folder, and return its path."""
    path = home / "configs" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def run(*words: str) -> None:
    """Run a verb that must end well."""
    assert main(list(words)) == 0


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Run a verb that must end well, with --json, and return its answer."""
    capsys.readouterr()
    run(*words, "--json")
    answer: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return answer


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and what is in it; the locks' empty files aside."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def submission(home: Path, name: str = "rides") -> bytes:
    """The submission of the latest experiment of a config."""
    return (home / "runs" / name / "latest" / "submission.csv").read_bytes()


def without_baselines(said: str) -> str:
    """Return what a command has said, without the warning that models of so few epochs lose to a trivial baseline."""
    return "".join(line for line in said.splitlines(keepends=True) if "the trivial baseline" not in line)
