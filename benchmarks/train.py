"""Training: our loop against the winners', and seconds per epoch of each network. Run: ./run.sh bench train [--help]

Both sides train the same network (network B of the 1st place, models/systems/first_place.py) on the same random breaths
in the same batches of 128; the rival is benchmarks/train_rival.py: item by item through a DataLoader, fp32, all 80
steps, `.item()` after every step. Ours is the engine's own loop, in fp32 and in the faster of the device's precisions
(what `train.precision = "auto"` finds), with all 80 steps and cropped to the 31 scored ones and 4 more.

Each measurement is a fresh process, the sides in turn; the table gives the median and the ratios of the pairs of runs.
Then every network of the project's performance notes: seconds per epoch of 75,450 breaths, one cell and several at
once.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.train_side import NETWORKS, STEPS, Task, gflop_a_breath  # noqa: E402
from foldline.core.console import Terminal  # noqa: E402
from foldline.fit import precision  # noqa: E402

EPOCH = 75_450  # breaths of the competition's train.csv
MARGIN = 4  # steps kept behind the last scored one, where it is cropped
Result = dict[str, Any]  # a Task, its figure, memory_bytes


def measure(**task: Any) -> Result:
    """One task in a fresh process."""
    command = [sys.executable, "-P", "-m", "benchmarks.train_side", json.dumps(task)]
    search = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": search}, check=True, stdout=subprocess.PIPE, text=True
    )
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def against_rival(common: dict[str, Any], runs: int) -> None:
    """Our loop and the rival's, in turn."""
    formats = precision.candidates(torch.device(common["device"]))
    ways = [(kind, margin) for margin in (-1, MARGIN) for kind in formats]
    ceilings = {kind: measure(side="ceiling", precision=kind, **common)["figure"] for kind in formats}
    rivals: list[Result] = []
    mine: dict[tuple[str, int], list[Result]] = {way: [] for way in ways}
    for _ in range(runs):
        rivals.append(measure(side="rival", **common))
        for kind, margin in ways:
            mine[kind, margin].append(measure(side="ours", precision=kind, margin=margin, **common))
    print(f"\nnetwork B, 9,085,185 parameters, batch {common['batch']}: {runs} runs of each side, in turn")
    print(f"{'':32}{'samples/s':>10}{'ours / rival: min, median, max':>34}{'GiB':>7}{'of the ceiling':>16}")
    _row("rival, fp32, T = 80", rivals, rivals, ceilings)
    for (kind, margin), results in mine.items():
        _row(f"ours, {kind}, T = {Task(side='ours', margin=margin).kept}", results, rivals, ceilings)
    print(
        "ceiling (a matrix product here): "
        + ", ".join(f"{kind} {rate:,.0f} GFLOP/s" for kind, rate in ceilings.items())
    )


def _row(title: str, results: list[Result], rivals: list[Result], ceilings: dict[str, float]) -> None:
    rate = median(result["figure"] for result in results)
    ratios = sorted(ours["figure"] / rival["figure"] for ours, rival in zip(results, rivals, strict=True))
    spread = f"{ratios[0]:14.2f}{median(ratios):10.2f}{ratios[-1]:10.2f}"
    task = Task(**{name: value for name, value in results[0].items() if name in Task.__dataclass_fields__})
    share = rate * gflop_a_breath(task) / ceilings[task.precision]
    memory = max(result["memory_bytes"] for result in results) / 2**30
    print(f"{title:32}{rate:10.1f}{spread}{memory:7.2f}{share:16.0%}", flush=True)


def each_network(common: dict[str, Any], names: Sequence[str], together: int, runs: int) -> None:
    """Seconds per epoch of every network: one cell, and several that take turns."""
    formats = precision.candidates(torch.device(common["device"]))
    kept = Task(side="ours", margin=MARGIN).kept
    print(
        f"\nseconds per epoch of {EPOCH:,} breaths, T = {kept} of {STEPS}, batch {common['batch']}; {runs} runs, median"
    )
    print(
        f"{'':20}{'GFLOP':>7}"
        + "".join(f"{kind:>10}" for kind in formats)
        + f"{f'{together} at once, a cell':>24}{'gain':>8}"
    )
    with Terminal().bar("networks", "measured") as update:
        for number, name in enumerate(names):
            update(number, len(names))
            _network(common, name, formats, together, runs)


def _network(common: dict[str, Any], name: str, formats: Sequence[str], together: int, runs: int) -> None:
    """Measure one network, and print its line."""
    alone: dict[str, float] = {kind: _epoch(common, name, kind, 1, runs) for kind in formats}
    best = min(alone, key=lambda kind: alone[kind])
    shared = _epoch(common, name, best, together, runs)
    work = gflop_a_breath(Task(side="ours", network=name, margin=MARGIN))
    seconds = "".join(f"{alone[kind]:10.1f}" for kind in formats)
    print(f"{name:20}{work:7.2f}{seconds}{shared:18.1f} {best:5}{alone[best] / shared:8.2f}", flush=True)


def _epoch(common: dict[str, Any], network: str, kind: str, together: int, runs: int) -> float:
    """Seconds per epoch and cell: the median of some runs."""
    task = {**common, "side": "ours", "network": network, "precision": kind, "margin": MARGIN, "together": together}
    return float(median(EPOCH / measure(**task)["figure"] for _ in range(runs)))


def determinism(common: dict[str, Any], runs: int) -> None:
    """What `train.deterministic` costs."""
    switched: dict[str, list[float]] = {"on": [], "off": []}
    for _ in range(runs):
        for switch, rates in switched.items():
            rates.append(measure(side="ours", margin=MARGIN, deterministic=switch, **common)["figure"])
    ratios = sorted(off / on for on, off in zip(*switched.values(), strict=True))
    print(
        f"\ntrain.deterministic = off / on, samples/s: {ratios[0]:.2f} {median(ratios):.2f} {ratios[-1]:.2f}",
        flush=True,
    )


def main(argv: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="train", description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="rival,networks,determinism", help="which tables (default: all)")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="which networks")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads")
    parser.add_argument("--batch", type=int, default=128, help="breaths")
    parser.add_argument("--steps", type=int, default=0, help="timed steps of a run (default: 5, on a GPU 100)")
    parser.add_argument("--together", type=int, default=4, help="cells at once")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(argv)
    unknown = [name for name in options.networks.split(",") if name not in NETWORKS]
    if unknown:
        parser.error(f"--networks must be some of {', '.join(NETWORKS)}, but has {', '.join(unknown)}")
    steps = options.steps or (100 if options.device == "cuda" else 5)
    common = {"device": options.device, "threads": options.threads, "batch": options.batch, "steps": steps}
    name = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {options.threads} threads"
    print(f"{name}, torch {torch.__version__}")
    parts = options.parts.split(",")
    if "rival" in parts:
        against_rival(common, options.runs)
    if "networks" in parts:
        each_network(common, options.networks.split(","), options.together, options.runs)
    if "determinism" in parts:
        determinism(common, options.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
