"""Ray against worker processes on one machine, and what faults of a cluster change. Run:

    FOLDLINE_EXTRAS=ray ./run.sh bench executors                      # some ten minutes on two idle cores
    FOLDLINE_EXTRAS=ray ./run.sh bench executors --parts faults --rounds 10
    FOLDLINE_EXTRAS=ray ./run.sh bench executors --pairs 1 --json FILE

`speed`: the same cells, each of --seconds or more, by `executor.kind = "process"` and "ray", in turn, each in a process
and a home folder of its own. `total` is from the first worker's start to the last cell's end; Ray's has the start of
its own cluster in it (`start`), which a cluster that runs already does not cost. `x` is Ray's total to that of the
processes of the same pair. `bytes`: weights and predictions that differ between the two.

`faults`: two nodes on this machine. In each round a worker is killed while it pre-trains, one while it trains, and one
while it predicts; then, in another run, a node. What its cells leave, and the submission, are compared with those of a
run without faults.

The exit code is 1, and a sentence says why, where a byte differs, or where a fault did not happen: what was not tried
proves nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

import pytest  # noqa: E402
import tiny  # noqa: E402

from benchmarks.fault_injection import ray_faults  # noqa: E402
from foldline.core import files  # noqa: E402
from foldline.core.console import Terminal  # noqa: E402
from foldline.experiment import config as configs  # noqa: E402
from foldline.experiment import preparation  # noqa: E402
from foldline.run import cell_cost, executors, progress_file  # noqa: E402
from foldline.run.executor_config import ExecutorConfig  # noqa: E402
from foldline.run.on_ray import session  # noqa: E402

NETWORK = "model=[{name = 'hybrid', width = 16, blocks = [{kind = 'bilstm'}, {kind = 'conv'}]}]"
PILOT = 100  # epochs; twice as many more tell what one costs
FAULTY = [
    *("train.epochs=6", "train.batch=2", "train.checkpoint_s=0"),
    "model.0.pretrain={source = 'more', train = {epochs = 2}}",
]
COMPARED = ("weights.safetensors", "out_of_fold.npy")
STORE_BYTES = 100 << 20  # of a node


@dataclass(frozen=True, kw_only=True)
class Task:
    """Cells that a process trains."""

    folder: str  # with home and rides
    kind: str  # of executor
    workers: int
    seeds: int  # two cells each
    epochs: int


def run_task(task: Task) -> dict[str, Any]:
    """Train the cells in this process's workers: seconds, and a hash of what each has left."""
    with tiny.home_of_rides(Path(task.folder)) as home:
        words = [NETWORK, f"train.epochs={task.epochs}", f"train.seeds={list(range(task.seeds))}"]
        words += ["train.checkpoint_s=3600", f"executor.kind={task.kind}", f"executor.workers={task.workers}"]
        config = configs.load(Path("rides"), words)
        jobs = preparation.prepare(config, Terminal(quiet=True)).jobs()
        began = time.perf_counter()
        with session.kept(), executors.opened(config.executor):
            started = time.perf_counter()
            executors.execute(jobs, config.executor, lambda *_: None)
            ended = time.perf_counter()
        keys = sorted(job.key for job in jobs)
        costs = cell_cost.costs_of(keys)
        left = {
            f"{key}/{name}": files.sha256(home / "runs" / "cells" / key / name) for key in keys for name in COMPARED
        }
    return {
        "start_s": started - began,
        "total_s": ended - began,
        "cell_s": median(cost.wall_s for cost in costs),
        "cell_core_s": median(cost.core_s for cost in costs),
        "left": left,
    }


def measured(**task: Any) -> dict[str, Any]:
    """Run a task in a fresh process and folder."""
    with tempfile.TemporaryDirectory(prefix="foldline-executors-") as folder:
        command = [sys.executable, "-P", str(Path(__file__)), "--task", json.dumps({"folder": folder, **task})]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def speed(cells: int, seconds: float, pairs: int, workers: int) -> dict[str, Any]:
    """Measure both executors in turn."""
    few, more = (measured(kind="serial", workers=1, seeds=1, epochs=count) for count in (PILOT, 3 * PILOT))
    epochs = math.ceil(2 * PILOT * seconds / (more["cell_core_s"] - few["cell_core_s"]))
    common = {"workers": workers, "seeds": math.ceil(cells / 2), "epochs": epochs}
    print(f"{2 * common['seeds']} cells of {epochs} epochs, {workers} at a time, {os.cpu_count()} cores")
    print(f"{'':10}{'total':>10}{'start':>10}{'a cell':>10}{'cores':>10}{'x':>8}{'bytes':>8}")
    found: list[dict[str, Any]] = []
    for number in range(pairs):
        order = ("process", "ray") if number % 2 == 0 else ("ray", "process")
        pair = {kind: measured(kind=kind, **common) for kind in order}
        mine, theirs = pair["ray"], pair["process"]
        differing = sum(theirs["left"][name] != mine["left"][name] for name in theirs["left"])
        for kind, side in pair.items():
            times = "".join(f"{side[name]:9.1f}s" for name in ("total_s", "start_s", "cell_s", "cell_core_s"))
            print(f"{kind:10}{times}{side['total_s'] / theirs['total_s']:8.3f}{differing:8}")
        ratio = mine["total_s"] / theirs["total_s"]
        sides = {kind: {name: value for name, value in side.items() if name != "left"} for kind, side in pair.items()}
        found.append({**sides, "ratio": ratio, "differing": differing})
    ratios = [each["ratio"] for each in found]
    print(f"ray / process: {min(ratios):.3f} to {max(ratios):.3f}, median {median(ratios):.3f}")
    return {"cells": 2 * common["seeds"], "epochs": epochs, "workers": workers, "pairs": found}


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A cluster of two nodes on this machine, which this process is part of."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    common = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**common, "include_dashboard": False})
    try:
        with session.opened(ExecutorConfig(kind="ray", address=cluster.address)):
            yield lambda: cluster.add_node(**common, resources={ray_faults.DOOMED: 1})
    finally:
        cluster.shutdown()


def trained(folder: Path, *words: str) -> tuple[dict[str, bytes], int]:
    """Train in a folder of its own: what is left, without times, and how often a cell was lost."""
    folder.mkdir()
    tiny.write(folder / "more", {"train": tiny.rides(901, 12, 10, seed=5)})
    with tiny.home_of_rides(folder) as home:
        tiny.run("train", "rides", "--quiet", *FAULTY, *words)
        run = progress_file.read(next((home / "runs" / "rides").glob("*/progress.json")))
        assert run is not None, "a run that has ended says so"
        every = tiny.tree(home / "runs" / "cells")
        left = {name: content for name, content in every.items() if Path(name).name in COMPARED or "test-" in name}
        return {**left, "submission": tiny.submission(home)}, sum("goes on elsewhere" in note for note in run.notes)


def faults(rounds: int) -> dict[str, Any]:
    """Count what faults of a cluster change."""
    counts = {"rounds": rounds, "workers killed": 0, "nodes killed": 0, "cells rerun": 0, "files": 0, "wrong": 0}
    with tempfile.TemporaryDirectory(prefix="foldline-executors-") as scratch, two_nodes() as add_node:
        whole, _ = trained(Path(scratch) / "whole")
        for number in range(rounds):
            add_node()
            for fault in (ray_faults.kills_its_worker, ray_faults.kills_its_node):
                folder = Path(scratch) / f"{fault.__name__}-{number}"
                with pytest.MonkeyPatch.context() as patch:
                    ray_faults.instead(patch, fault)
                    left, lost = trained(folder, "executor.kind=ray")
                happened = ray_faults.happened(folder / "home")
                counts["nodes killed"] += "node" in happened
                counts["workers killed"] += len(happened & set(ray_faults.STAGES))
                counts["cells rerun"] += lost
                names = whole.keys() | left.keys()
                counts["files"] += len(names)
                counts["wrong"] += sum(left.get(name) != whole.get(name) for name in names)
            print(", ".join(f"{name}: {count}" for name, count in counts.items()))
    return counts


def wrong(found: dict[str, Any]) -> list[str]:
    """Say what a measurement has found that must not be, a sentence each."""
    said = []
    if differing := sum(pair["differing"] for pair in found.get("speed", {}).get("pairs", [])):
        said.append(f"{differing} files of cells from Ray differ from those of worker processes.")
    if counts := found.get("faults"):
        if counts["wrong"]:
            said.append(f"{counts['wrong']} of {counts['files']} files differ from those of a run without faults.")
        for what, each in (("workers killed", len(ray_faults.STAGES)), ("nodes killed", 1)):
            if counts[what] != each * counts["rounds"]:
                said.append(f"{what}: {counts[what]}, not {each * counts['rounds']}.")
        if counts["cells rerun"] < counts["workers killed"] + counts["nodes killed"]:
            said.append(f"cells rerun: {counts['cells rerun']}, fewer than were killed.")
    return said


def main() -> int:
    """Measure what is asked for; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=("speed", "faults"), default=["speed", "faults"])
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a core for each cell, at least")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write all figures there")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        print(json.dumps(run_task(Task(**json.loads(arguments.task)))))
        return 0
    session.require()
    found: dict[str, Any] = {}
    if "speed" in arguments.parts:
        found["speed"] = speed(arguments.cells, arguments.seconds, arguments.pairs, arguments.workers)
    if "faults" in arguments.parts:
        found["faults"] = faults(arguments.rounds)
    if arguments.json:
        files.write_json(arguments.json, found)
    said = wrong(found)
    print("".join(f"wrong: {each}\n" for each in said), end="", file=sys.stderr)
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main())
