"""The measured half of benchmarks/features.py: runs one implementation in a fresh process and prints what it cost.

    python -m benchmarks.foldline_features features CSV   cost by the end of each step, as one line of JSON
    python -m benchmarks.foldline_features inputs CSV     the same of the float32 array a network takes, unscaled
    python -m benchmarks.foldline_features training CSV   cost of scaled float32 features, which a network trains on
    python -m benchmarks.foldline_features save CSV NPY   the features themselves, (37, rows) float64, nothing timed

Imported by foldline_features.py and by anchor_features.py, the latter in an environment that has pandas but no polars:
only numpy and the standard library here.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# A step takes what the one before gave back, the first the CSV's path. JOBS in features.py names them.
Step = Callable[[Any], Any]


def run(versions: str, features: tuple[Step, Step, Step], inputs: Step, training: Step) -> None:
    """Answer the command line for an implementation.

    `features`: reading, numeric features, one-hots; the last gives a frame of the 37 features in the order of ours.
    `inputs`: from what reading gave to the (rows, 37) float32 array.
    `training`: from the CSV's path to the scaled features.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=("features", "inputs", "training", "save"))
    parser.add_argument("csv")
    parser.add_argument("npy", nargs="?", type=Path)
    arguments = parser.parse_args()
    if arguments.job == "save":
        value: Any = arguments.csv
        for step in features:
            value = step(value)
        _save(value, arguments.npy)
    else:
        jobs = {"features": features, "inputs": (features[0], inputs), "training": (training,)}
        costs = _measure(jobs[arguments.job], arguments.csv)
        print(json.dumps({"versions": versions, "costs": costs}))


def peak_bytes() -> int:
    """Largest resident memory of this process so far.

    On Linux not from getrusage: there a child starts with the peak of the process that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _measure(steps: tuple[Step, ...], csv: str) -> list[dict[str, float]]:
    """What the process has cost from its start of work to the end of each step."""
    costs: list[dict[str, float]] = []
    value: Any = csv
    start, cpu_start = time.perf_counter(), time.process_time()
    for step in steps:
        value = step(value)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        costs.append({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": peak_bytes()})
    return costs


def _save(frame: Any, path: Path) -> None:
    """Columns of a polars or pandas frame, one after the other."""
    names = list(frame.columns)
    saved = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(len(names), len(frame)))
    for place, name in enumerate(names):
        saved[place] = frame[name].to_numpy()
    saved.flush()
