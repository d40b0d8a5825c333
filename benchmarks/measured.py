"""The measured half of benchmarks/features.py: runs one implementation in a fresh process and prints what it cost.

    python -m benchmarks.foldline_features CSV            time and peak memory after each stage, as one line of JSON
    python -m benchmarks.foldline_features CSV --save NPY the unscaled features, (37, rows) float64, nothing timed

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

# Both sides do these in turn; each takes what the one before gave back, the first the CSV's path.
STAGES = ("reading", "+ 22 numeric features", "+ 15 one-hots", "+ scaling")
Stage = Callable[[Any], Any]


def run(versions: str, stages: tuple[Stage, Stage, Stage, Stage]) -> None:
    """Answer the command line for an implementation, given as one function for each of STAGES."""
    parser = argparse.ArgumentParser()
    parser.add_argument("csv")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    if arguments.save:
        value: Any = arguments.csv
        for stage in stages[:-1]:
            value = stage(value)
        _save(value, arguments.save)
    else:
        print(json.dumps({"versions": versions, "costs": _measure(stages, arguments.csv)}))


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


def _measure(stages: tuple[Stage, ...], csv: str) -> list[dict[str, float]]:
    """What the process has cost from its start of work to the end of each stage."""
    costs, value = [], csv
    start, cpu_start = time.perf_counter(), time.process_time()
    for stage in stages:
        value = stage(value)
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
