"""Competitions whose test rows only a gateway sees, small ones: songs by series, flows by steps; and their notebooks.

competition = Served("hull")
competition.install(home, tmp_path)          # config and tables; then tiny.run("train", competition.config)
competition.kaggle(tmp_path / "in", bundle, "1.7")    # an input folder with the data set and the evaluation package
run_cells(bundle, tmp_path / "in", ...)      # the notebook's cells in this process
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import evaluation_gateway
import numpy as np
import polars as pl
import pytest
import tiny
from tiny_classes import Songs

FLOW = """
[data]
id = "row"
key = "ride"
order = "second"
inputs = ["power", "lag_x", "lag_y"]
static = ["bike"]
target = {target}
source = "{source}"

[features]
families = ["raw", "time", "integral", "lags", "static"]
lags = {{lags = [1, 2], leads = []}}

[folds]
kind = "group"
k = 2

[[model]]
name = "lightgbm"
rounds = 8
min_data_in_leaf = 2

[track]
wandb = "disabled"

[executor]
kind = "serial"
"""
SONGS = Songs("multiclass", metric="accuracy")
SERVE: dict[str, list[str]] = {
    "cmi": ['serve.per="series"', 'serve.arguments=["rows", "static"]', 'serve.answer="scalar"'],
    "jane": ['serve.per="step"', 'serve.arguments=["rows", "lags"]', "serve.with_id=true"],
    "mitsui": ['serve.per="step"', 'serve.arguments=["rows", "lags", "lags", "lags", "lags"]'],
    "hull": ['serve.per="step"', 'serve.answer="scalar"'],
    "nfl": ['serve.per="table"', 'serve.arguments=["rows", "static"]', 'serve.answer=["x", "y"]'],
    "shared": ['serve.per="series"'],
}
OF_03: dict[str, list[str]] = {  # the dialect that demands ids
    "cmi": ['serve.answer=["answer"]', "serve.with_id=true"],
    "hull": ['serve.answer=["prediction"]', "serve.with_id=true"],
}
PATHS = {"cmi": 'serve.paths=["test.csv", "demographics.csv"]', "jane": 'serve.paths=["test.csv", "lags.csv"]'}


def flows(first: int, count: int, steps: int, seed: int) -> pl.DataFrame:
    """`count` labelled series: x follows the sum of power, y its last value; lags are the answers of a step before."""
    rides = tiny.rides(first, count, steps, seed).drop("speed", "coasting")
    step = pl.int_range(pl.len()).over("ride")
    x = (pl.col("power").cum_sum().over("ride") * 0.1).alias("x")
    rides = rides.with_columns(x, (pl.col("power") * 2 + 0.1 * pl.col("bike")).alias("y"))
    before = [pl.when(step > 0).then(pl.col(name).shift(1)).alias(f"lag_{name}") for name in "xy"]
    return rides.with_columns(before)


@dataclass(frozen=True)
class Served:
    """A competition behind a gateway."""

    kind: str  # of evaluation_gateway.COMPETITIONS

    @property
    def of_songs(self) -> bool:
        """Whether its answers are labels of songs; else numbers of each step of a flow."""
        return self.kind in ("cmi", "shared")

    @property
    def config(self) -> str:
        """Name its config: several competitions share one."""
        return "songs" if self.of_songs else "flow1" if self.kind == "hull" else "flow2"

    def test(self) -> pl.DataFrame:
        """Return the test rows that `infer` would read."""
        if self.of_songs:
            return SONGS.frames()["test"]
        return flows(501, 1 if self.kind in ("hull", "mitsui") else 4, 6, seed=1).drop("x", "y")

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the tables that the gateway reads."""
        rows = self.test()
        if self.kind == "cmi":
            return {"test": rows.drop("site"), "demographics": rows.select("song", "site").unique(maintain_order=True)}
        if self.kind == "jane":
            lags = rows.select("ride", "second", "lag_x", "lag_y")
            return {"test": rows.drop("lag_x", "lag_y"), "lags": lags}
        if self.kind == "mitsui":
            return {"test": rows, "lags": rows.select("second", "lag_x", "lag_y")}
        if self.kind == "nfl":
            return {"test": rows.drop("bike"), "before": rows.select("ride", "bike")}
        return {"test": rows}

    def install(self, home: Path, folder: Path) -> None:
        """Write tables and config, to be trained."""
        if self.of_songs:
            SONGS.install(home, folder / "songs")
            return
        train, test = flows(1, 8, 8, seed=0), self.test()
        target = ["x"] if self.kind == "hull" else ["x", "y"]
        sample = test.select("row", *(pl.lit(0.0).alias(name) for name in target))
        source = tiny.write(folder / self.config, {"train": train, "test": test, "sample_submission": sample})
        tiny.configure(home, self.config, FLOW.format(source=source, target=json.dumps(target)))

    def serve(self, dialect: str) -> list[str]:
        """Return the overrides of `bundle` for a dialect."""
        given = dict(word.split("=", 1) for word in SERVE[self.kind])
        if dialect == "0.3":
            given |= {"serve.with_id": "true"} | dict(word.split("=", 1) for word in OF_03.get(self.kind, []))
        if self.kind in PATHS:
            given |= dict([PATHS[self.kind].split("=", 1)])
        return [f"{key}={value}" for key, value in given.items()]

    def kaggle(self, folder: Path, bundle: Path, dialect: str, options: str = "") -> Path:
        """Lay out Kaggle's input folder."""
        shutil.copytree(bundle / "dataset", folder / "datasets" / "rider" / "foldline", copy_function=os.link)
        place = folder / "competitions" / self.kind
        evaluation_gateway.write(place, dialect, self.kind, self.tables(), options)
        return folder


def cells_of(bundle: Path) -> list[str]:
    """Return the code of a notebook's cells."""
    notebook = next((bundle / "notebook").glob("*.ipynb"))
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@contextlib.contextmanager
def own_package() -> Iterator[None]:
    """Let a notebook import the evaluation package of its input folder, and leave nothing of it behind."""
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before
        for name in [name for name in sys.modules if name.partition(".")[0] == "kaggle_evaluation"]:
            del sys.modules[name]


def run_cells(bundle: Path, inputs: Path, patch: pytest.MonkeyPatch, working: Path) -> dict[str, Any]:
    """Run the cells of a notebook in this process, as Jupyter does; return its names."""
    patch.setenv("FOLDLINE_INPUT", str(inputs))
    working.mkdir(parents=True, exist_ok=True)
    patch.chdir(working)
    names: dict[str, Any] = {"__name__": "__main__"}
    with own_package():
        for code in cells_of(bundle):
            exec(compile(code, "cell", "exec"), names)
    return names


def submitted(working: Path) -> pl.DataFrame:
    """Read the submission that a gateway has written."""
    return pl.read_parquet(working / "submission.parquet")


def nearly(found: pl.Series, expected: pl.Series) -> None:
    """Compare answers: labels exactly, numbers nearly."""
    if found.dtype == pl.String:
        assert found.to_list() == expected.to_list()
    else:
        np.testing.assert_allclose(found, expected, atol=1e-6)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def call_from_outside(folder: Path, kind: str, port: int) -> None:
    """Run a competition's gateway against a notebook that serves, and wait for that one to begin. folder: its files."""
    sys.path.insert(0, str(folder))
    gateway = importlib.import_module(f"kaggle_evaluation.{kind}_gateway")
    core = importlib.import_module("kaggle_evaluation.core.stand_in")
    made = getattr(gateway, f"{kind.capitalize()}Gateway")((str(folder),))
    until = time.monotonic() + 250
    while True:
        try:
            return core.from_another_process(made, port)
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
