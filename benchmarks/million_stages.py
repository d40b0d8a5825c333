"""The measured half of benchmarks/million.py: one stage of the way in a fresh process, a line of JSON for each step.

    python -m benchmarks.million_stages simulate FOLDER SERIES

It says `ready` when it has imported what it needs, and begins when it is sent a line.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from foldline.experiment.config import Config

FEW = 100  # one in so many of the series to predict is predicted by `train`, too, for its own submission
STEPS = 80  # rows of a breath
CONFIG = """
[data]
id = "id"
key = "breath_id"
order = "time_step"
inputs = ["u_in", "u_out"]
static = ["R", "C"]
target = ["pressure"]
scored = "u_out == 0"
source = "{source}"

[features]
families = ["raw", "time", "integral", "lags", "static"]
raw = {{complement = ["u_out"]}}
lags = {{lags = [1, 2], leads = [1]}}

[folds]
kind = "stratified-group"
k = 2

[train]
epochs = 1
batch = 256
lr = 4e-3
margin = 4
resident = "off"
device = "cpu"

[[model]]
name = "hybrid"
width = 16
blocks = [{{kind = "bilstm"}}, {{kind = "conv", kernel = 3}}]

[track]
wandb = "disabled"

[executor]
kind = "serial"
"""


class Steps:
    """Says what each step has cost."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _cpu_s()

    def done(self, step: str, rows: int) -> None:
        """End a step. rows: that it has worked on."""
        wall, cpu = time.perf_counter(), _cpu_s()
        said = {"step": step, "rows": rows, "seconds": wall - self._wall, "cpu_seconds": cpu - self._cpu}
        print(json.dumps(said), flush=True)
        self._wall, self._cpu = time.perf_counter(), _cpu_s()


def _cpu_s() -> float:
    """Seconds of processor time of this process, and of those that it has started and that have ended."""
    each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in each)


def begin() -> Steps:
    """Wait until the memory is watched."""
    print("ready", flush=True)
    sys.stdin.readline()
    return Steps()


def simulate(folder: Path, series: int) -> None:
    """Simulate a competition, then bring its files to Parquet: few test series to FOLDER/train, all to FOLDER/new."""
    from ventilator import simulator

    steps, csv = begin(), folder / "csv"
    simulator.write_competition(csv, breaths=series, test_breaths=series, seed=0)
    steps.done("simulate", 2 * series * STEPS)
    for name in ("train", "new"):
        (folder / name).mkdir()
    _to_parquet(csv / "train.csv", folder / "train" / "train.parquet")
    for name in ("test", "sample_submission"):
        _to_parquet(csv / f"{name}.csv", folder / "new" / f"{name}.parquet")
        few = pl.scan_parquet(folder / "new" / f"{name}.parquet").head(series // FEW * STEPS)
        few.sink_parquet(folder / "train" / f"{name}.parquet")
    steps.done("to Parquet", 2 * series * STEPS)
    config = folder / "home" / "configs" / "million.toml"
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG.format(source=folder / "train"), encoding="utf-8")


def _to_parquet(csv: Path, parquet: Path) -> None:
    pl.scan_csv(csv).sink_parquet(parquet)
    csv.unlink()


def to_store(config: Config) -> Steps:
    """Read and check an experiment's tables, assign folds, compute features; say what each has cost, and go on."""
    from foldline.data import featurize, folds, loading, stratified_groups

    stratified_groups.assign(np.arange(100), np.arange(100) % 9, 2, seed=0)  # imports and compiling
    steps = begin()
    competition = loading.load(config.data)
    rows = competition.train.frame.height
    steps.done("read and check", rows)
    folds.obtain(config.folds, config.name, competition.train)
    steps.done("folds", rows)
    for table in (competition.train, competition.test):
        featurize.obtain(table, config.features, competition.levels)
    steps.done("features and store", rows)
    return steps


def prepare(folder: Path, series: int) -> None:
    """Read and check the tables, assign folds, compute features."""
    from foldline.experiment.config import load

    to_store(load(folder / "home" / "configs" / "million.toml", []))


def train(folder: Path, series: int) -> None:
    """Train two cells for one epoch each, score them, and write report and submission."""
    from foldline.api import train as verb
    from foldline.core.console import Terminal
    from foldline.experiment import cell_runs, stored_experiment
    from foldline.experiment.config import load
    from foldline.output.tracking import WandbTracker

    config = load(folder / "home" / "configs" / "million.toml", [])
    steps, terminal = begin(), Terminal(quiet=True)
    planned = verb.plan(config, "./run.sh train million", terminal)
    prepared, jobs = planned.parts[0]
    rows = prepared.competition.train.frame.height
    steps.done("plan: files again, folds, store", rows)
    record = stored_experiment.folder_of(config, prepared.plan, prepared.test.fingerprint, [])
    cell_runs.run_cells(config, jobs, prepared.plan, record, "train", terminal, WandbTracker)
    steps.done("train an epoch, predict", rows)
    planned.carry_out(terminal)
    steps.done("score, report", rows)


def infer(folder: Path, series: int) -> None:
    """Predict the other series, and write a submission that passes the gate: a Parquet file, as the sample is one."""
    from foldline.cli.main import main

    steps = begin()
    if main(["infer", "million", f"data.source={folder / 'new'}"]):
        raise SystemExit("infer has failed")
    steps.done("infer: read, features, predict, submission", series * STEPS)


def decode(folder: Path, series: int) -> None:
    """Decode the file of the other series."""
    from ventilator.decoder.file_decoding import decode_file

    test = folder / "new" / "test.parquet"
    pl.read_parquet(test, n_rows=10 * STEPS).write_parquet(folder / "few.parquet")
    decode_file(folder / "few.parquet", folder / "exact-few.parquet")  # compiles
    steps = begin()
    decode_file(test, folder / "exact.parquet")
    steps.done("decode", series * STEPS)


STAGES = {each.__name__: each for each in (simulate, prepare, train, infer, decode)}


def main() -> None:
    """Run a stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("series", type=int)
    given = parser.parse_args()
    os.environ["FOLDLINE_HOME"] = str(given.folder / "home")
    STAGES[given.stage](given.folder, given.series)


if __name__ == "__main__":
    main()
