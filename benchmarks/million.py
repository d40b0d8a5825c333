"""Time and memory from simulated breaths to a submission, at 10 thousand, 100 thousand and a million series. Run:

    ./run.sh bench million                                  # all; hours on two cores, 20 GB of disk, removed at the end
    ./run.sh bench million --series 10000 100000            # some sizes
    ./run.sh bench million --page                           # writes the table into docs/scale.md
    ./run.sh bench million --page --series 10000            # its rows of one size; those of others stay

So many breaths of 80 rows to train on, and as many others to predict. Each stage is a process of its own
(million_stages.py): simulate both, write them as Parquet; read and check the training table, folds, features; one epoch
of a small hybrid in each of two folds, which reads the store for each batch (train.resident = "off"), and its
predictions; scores and report; `infer` of the others, up to a Parquet submission that has passed the gate. Exact
decoding of them is measured by itself, up to --decode series.

CPU seconds are of all threads and processes of a step: other work on the machine changes them less than seconds. Memory
is anonymous and shared memory of all processes, the largest seen, with what Python and its libraries take; pages of
files are not counted, since the system takes them back when it needs them. `exponent`: least squares of log(CPU
seconds) by log(series), over all sizes of the table; 1 is a straight line, and what a step takes at any size makes it
less.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.pages import replaced  # noqa: E402
from benchmarks.size import INTERVAL, memory  # noqa: E402

PAGE = ROOT / "docs" / "scale.md"
PART = "table: ./run.sh bench million --page"  # of it
BOUND = 8 << 30  # bytes of memory
SIZES = (10_000, 100_000, 1_000_000)
STAGES = ("simulate", "prepare", "train", "infer")
HEADER = 3  # lines before the table's first row: the rest of the mark's, and two of the header


@dataclass(frozen=True)
class Cost:
    """What a step has cost."""

    step: str
    rows: int
    seconds: float
    cpu_seconds: float
    memory: int  # bytes, peak


class Row(NamedTuple):
    """A row of the table, as it is printed."""

    step: str
    series: int
    seconds: str
    cpu_seconds: str
    rate: str  # rows a CPU second; empty: it took no time that could be seen
    memory: str  # MiB


class Watch(threading.Thread):
    """Samples the memory of a process and of those that it starts."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak, self.ended = pid, 0, threading.Event()

    def run(self) -> None:
        """Sample until it is told to end."""
        while not self.ended.wait(INTERVAL):
            self.peak = max(self.peak, memory(self.pid))

    def taken(self) -> int:
        """Return the peak since the last call."""
        peak, self.peak = max(self.peak, memory(self.pid)), 0
        return peak


def run(stage: str, folder: Path, series: int) -> list[Cost]:
    """Run a stage in a fresh process."""
    return costs_of(f"{stage} of {series:,} series", "benchmarks.million_stages", stage, str(folder), str(series))


def costs_of(name: str, *words: str) -> list[Cost]:
    """Run a module in a fresh process, and watch its memory: it tells its steps by million_stages.Steps.

    Args:
        name: of what it does, for the message where it fails.
        words: the module and its arguments.
    """
    costs = []
    command = [sys.executable, "-m", *words]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        while child.stdout.readline() not in ("ready\n", ""):
            pass
        watch = Watch(child.pid)
        watch.start()
        child.stdin.write("go\n")
        child.stdin.flush()
        for line in child.stdout:
            if line.startswith('{"step"'):
                costs.append(Cost(**json.loads(line), memory=watch.taken()))
        watch.ended.set()
    if child.returncode != 0:
        raise SystemExit(f"{name} ended with exit code {child.returncode}")
    return costs


def measure(series: int, decoded: int, place: Path, keep: bool) -> list[Cost]:
    """Run all stages at one size."""
    folder = Path(tempfile.mkdtemp(prefix=f"million-{series}-", dir=place))
    try:
        stages = [*STAGES, *(["decode"] if series <= decoded else [])]
        found = []
        for stage in stages:
            for cost in run(stage, folder, series):
                print(line(row(series, cost)), flush=True)
                found.append(cost)
    finally:
        if not keep:
            shutil.rmtree(folder)
    return found


def row(series: int, cost: Cost) -> Row:
    """Write a row of the table."""
    rate = f"{cost.rows / cost.cpu_seconds:,.0f}" if cost.cpu_seconds else ""
    return Row(
        cost.step, series, f"{cost.seconds:,.1f}", f"{cost.cpu_seconds:,.1f}", rate, f"{cost.memory / 2**20:,.0f}"
    )


def rows_of(page: str) -> list[Row]:
    """Read the rows of a page's table."""
    part = page.partition(f"<!-- {PART} -->")[2].partition("<!-- end of")[0]
    cells = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in part.splitlines()]
    return [Row(step, _number(series), *more[:4]) for step, series, *more in cells[HEADER:]]


def merged(old: list[Row], new: list[Row]) -> list[Row]:
    """Put new rows in the place of old ones of the same step and size; all others stay. Step by step, by size."""
    every = {(each.step, each.series): each for each in [*old, *new]}
    steps = list(dict.fromkeys(step for step, _ in every))
    return sorted(every.values(), key=lambda each: (steps.index(each.step), each.series))


def table(rows: list[Row]) -> list[str]:
    """Write the table of `merged` rows: behind the last size of each step the exponent."""
    lines = ["| step | series | s | CPU s | rows a CPU s | peak, MiB | exponent |", "|---|--:|--:|--:|--:|--:|--:|"]
    for _, of_step in itertools.groupby(rows, key=lambda each: each.step):
        *others, last = list(of_step)
        lines += [line(each) for each in others]
        lines.append(line(last, f"{exponent([*others, last]):.2f}" if others else ""))
    return lines


def line(each: Row, exponent: str = "") -> str:
    """Write a row as a line of the table."""
    cells = [each.step, f"{each.series:,}", each.seconds, each.cpu_seconds, each.rate, each.memory, exponent]
    return f"| {' | '.join(cells)} |"


def exponent(rows: list[Row]) -> float:
    """Return the slope of log(CPU seconds) by log(series) of one step's rows.

    CPU seconds are series by rate, but for a factor that all rows share: rates have more digits than printed seconds.
    """
    timed = [each for each in rows if each.rate]
    seconds = [each.series / _number(each.rate) for each in timed]
    return float(np.polyfit(np.log([each.series for each in timed]), np.log(seconds), 1)[0])


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def main(argv: list[str]) -> int:
    """Measure and print; the exit code is 1 where a step takes more memory than its bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--decode", type=int, default=100_000, help="largest size whose test series are decoded")
    parser.add_argument("--page", action="store_true", help="write the table into docs/scale.md")
    parser.add_argument("--folder", type=Path, help="where files go (default: runs/bench)")
    parser.add_argument("--keep", action="store_true", help="keep the files")
    given = parser.parse_args(argv)
    from foldline.core import files

    place = (given.folder or files.runs() / "bench").resolve()
    place.mkdir(parents=True, exist_ok=True)
    began, found = time.perf_counter(), {}
    for series in sorted(given.series):
        found[series] = measure(series, given.decode, place, given.keep)
    rows = merged([], [row(series, cost) for series, costs in found.items() for cost in costs])
    lines = table(rows)
    print("\n" + "\n".join(lines) + f"\n\n{(time.perf_counter() - began) / 60:.0f} min, {os.cpu_count()} cores")
    if given.page:
        page = PAGE.read_text(encoding="utf-8")
        written = "\n".join(table(merged(rows_of(page), rows)))
        PAGE.write_text(replaced(page, PART, written), encoding="utf-8")
    return int(any(cost.memory > BOUND for costs in found.values() for cost in costs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
