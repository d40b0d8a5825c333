"""Memory and time from files to the store, against the number of rows.

    ./run.sh bench size                     # all cases, a table; 10 GB of disk under runs/bench/, removed at the end
    ./run.sh bench size rows-1e6 one-series # some of them
    ./run.sh bench size --page              # writes the table into docs/size.md

Each case writes files: a training table of that many rows (id, key as text, order, three inputs, a static column of
text, a target) and a test table of a thousandth of them. A fresh process then reads and checks them, draws folds in
memory, and makes both stores with the default families. Seconds are of processor time. Memory is anonymous and shared
memory over all its processes, sampled every 5 ms, less that after imports. Pages of files are not counted: the system
takes them back when it needs them. The bound: 1 GiB beyond an index of 64 bytes a series.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "size.md"
MARK = "<!-- table: ./run.sh bench size --page -->\n\n"
BOUND, INDEX = 2**30, 64  # bytes: of memory beyond an index, and of that a series
BLOCK = 1_000_000  # rows that are written at once
ARCHIVE = "data.zip"  # of a case whose files are packed together
INTERVAL = 0.005  # s between two looks at the memory
PLACES = ("hill", "town", "coast", "forest")  # values of the static column
FAMILIES = ("raw", "time", "integral", "lags", "differences", "stats", "static")  # the defaults


@dataclass(frozen=True)
class Case:
    """A training table: how long its series are, and how it lies in files."""

    lengths: np.ndarray  # (N,) int64
    ending: str = "csv"
    files: int = 1

    @property
    def rows(self) -> int:
        """Rows of the training table."""
        return int(self.lengths.sum())

    @property
    def bound(self) -> int:
        """Bytes of memory that it may take."""
        return BOUND + INDEX * len(self.lengths)

    def describe(self) -> str:
        """Say how many series there are, of which lengths, and in which files."""
        least, most = int(self.lengths.min()), int(self.lengths.max())
        steps = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        where = f"{self.files:,} files, {self.ending.upper()}" if self.files > 1 else self.ending.upper()
        return f"{len(self.lengths):,} series of {steps} steps, {where}"


def equal(rows: int, steps: int = 100) -> np.ndarray:
    """Lengths of series of equal length."""
    return np.full(rows // steps, steps)


CASES = {
    "rows-1e5": Case(equal(10**5)),
    "rows-1e6": Case(equal(10**6)),
    "rows-1e7": Case(equal(10**7)),
    "parquet-1e7": Case(equal(10**7), "parquet"),
    "files-1e7": Case(equal(10**7), files=1000),
    "gz-1e7": Case(equal(10**7), "csv.gz"),
    "zip-1e7": Case(equal(10**7), "zip"),
    "one-series": Case(np.array([10**7])),
    "short-series": Case(np.random.default_rng(0).integers(1, 51, 10**6)),
}


def write(case: Case, folder: Path) -> None:
    """Write the files of a case."""
    lengths = case.lengths[: max(1, len(case.lengths) // 1000)].clip(max=10_000)
    test = Case(lengths, "zip" if case.ending == "zip" else "csv")
    _write_table(test, folder, "test", first=10**9)
    _write_table(case, folder, "train", first=0)


def _write_table(case: Case, folder: Path, name: str, first: int) -> None:
    """Write a table. first: number of its first row and series."""
    folder.mkdir(parents=True, exist_ok=True)
    ends = np.cumsum(case.lengths)
    if case.files > 1:
        (folder / name).mkdir()
        cuts = [0, *(np.searchsorted(ends, case.rows * (1 + np.arange(case.files)) // case.files) + 1).tolist()]
        for number, (begin, end) in enumerate(pairwise(cuts)):
            rows = (int(ends[begin - 1]) if begin else 0, int(ends[min(end, len(ends)) - 1]))
            _rows(case, ends, name, first, *rows).write_csv(folder / name / f"{number:06}.{case.ending}")
        return
    path = folder / f"{name}.{case.ending}"
    parts = (
        _rows(case, ends, name, first, begin, min(begin + BLOCK, case.rows)) for begin in range(0, case.rows, BLOCK)
    )
    if case.ending == "parquet":
        _write_parquet(path, parts)
        return
    with _opened(path, name) as stream:
        for number, part in enumerate(parts):
            stream.write(part.write_csv(include_header=number == 0).encode())


@contextmanager
def _opened(path: Path, name: str) -> Iterator[IO[bytes]]:
    """Open a CSV file to be written: plain, gzipped, or a member of the competition's archive."""
    if path.suffix == ".zip":
        with (
            zipfile.ZipFile(path.parent / ARCHIVE, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open(f"{name}.csv", "w", force_zip64=True) as stream,
        ):
            yield stream
    else:
        with gzip.open(path, "wb", 1) if path.suffix == ".gz" else path.open("wb") as stream:
            yield stream  # type: ignore[misc]


def _write_parquet(path: Path, parts: Iterator[pl.DataFrame]) -> None:
    from pyarrow import parquet

    head = next(parts).to_arrow()
    with parquet.ParquetWriter(path, head.schema) as writer:
        writer.write_table(head)
        for part in parts:
            writer.write_table(part.to_arrow())


def _rows(case: Case, ends: np.ndarray, name: str, first: int, begin: int, end: int) -> pl.DataFrame:
    """Make rows begin .. end - 1 of a table."""
    rows, rng = np.arange(begin, end), np.random.default_rng([first, begin])
    series = np.searchsorted(ends, rows, side="right")
    inputs = {f"x{place}": rng.normal(size=end - begin) for place in (1, 2, 3)}
    columns = {
        "row": rows + first,
        "series": pl.Series(series + first).cast(pl.String).str.pad_start(11, "s"),
        "step": rows - (ends - case.lengths)[series],
        **inputs,
        "place": pl.Series(PLACES).gather(series % len(PLACES)),
    }
    if name == "train":
        columns["y"] = inputs["x1"] + 0.1 * rng.normal(size=end - begin)
    return pl.DataFrame(columns)


def steps(folder: Path, many: bool) -> dict[str, float]:
    """Go from files to the stores; return seconds of processor time by step.

    Run in a process of its own, which says when it begins.
    """
    from foldline.data import featurize, folds, loading
    from foldline.data.fold_assignment import FoldsConfig
    from foldline.data.roles import DataConfig

    data = DataConfig(
        source=str(folder / ARCHIVE if (folder / ARCHIVE).exists() else folder),
        id="row",
        key="series",
        order="step",
        inputs=("x1", "x2", "x3"),
        static=("place",),
        target=("y",),
    )
    data = replace(data, train="train/*.csv") if many else data
    features = featurize.FeaturesConfig(families=FAMILIES)
    import sklearn.model_selection  # noqa: F401 -- else folds import it later

    print("ready", flush=True)
    sys.stdin.readline()
    marks = [time.process_time()]
    competition = loading.load(data)
    marks.append(time.process_time())
    if len(competition.train.lengths) > 1:
        folds.obtain(FoldsConfig(), "size", competition.train, save=False)
    marks.append(time.process_time())
    for table in (competition.train, competition.test):
        featurize.obtain(table, features, competition.levels)
    marks.append(time.process_time())
    return dict(zip(("read", "folds", "store"), np.diff(marks).tolist(), strict=True))


@dataclass(frozen=True)
class Cost:
    """What a case has cost."""

    seconds: dict[str, float]  # of processor time, by step
    memory: int  # bytes, peak


def measure(case: Case, folder: Path) -> Cost:
    """Run a case in a fresh process and watch its memory."""
    words = [sys.executable, "-m", "benchmarks.size", "--inside", str(folder), *(["--many"] if case.files > 1 else [])]
    environment = os.environ | {"FOLDLINE_HOME": str(folder / "home")}
    with subprocess.Popen(
        words, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        before = peak = memory(child.pid)
        if not before:
            raise RuntimeError("this system doesn't say what a process and its children hold (Linux: /proc)")
        child.stdin.write("go\n")
        child.stdin.flush()
        while child.poll() is None:
            peak = max(peak, memory(child.pid))
            time.sleep(INTERVAL)
        said = child.stdout.read()
    if child.returncode != 0:
        raise RuntimeError(f"{folder.name} ended with exit code {child.returncode}")
    return Cost(json.loads(said.splitlines()[-1]), peak - before)


def memory(pid: int, parent: str = "") -> int:
    """Anonymous and shared memory of a process and those that it has started, bytes; 0 where it has ended.

    A child that has not begun its own program yet is in its parent's memory, which is not counted twice.

    parent: size of its parent's memory, as the system prints it.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    said = dict(line.split(":", 1) for line in lines)
    if "VmSize" not in said or said["VmSize"] == parent:
        return 0
    own = sum(int(said[name].split()[0]) for name in ("RssAnon", "RssShmem"))
    return own * 1024 + sum(memory(int(child), said["VmSize"]) for child in children)


def line(name: str, case: Case, cost: Cost) -> str:
    """Write a line of the table."""
    times = [f"{cost.seconds[step]:.1f}" for step in ("read", "folds", "store")]
    rate = sum(cost.seconds.values()) / case.rows * 1e6
    sizes = [f"{cost.memory / 2**20:,.0f}", f"{case.bound / 2**20:,.0f}"]
    return f"| `{name}`: {case.describe()} | {' | '.join([f'{case.rows:,}', *times, f'{rate:.1f}', *sizes])} |"


def main() -> int:
    """Measure and print; the exit code is 1 where a case takes more memory than its bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*CASES, []], help="cases; none: all")
    parser.add_argument("--page", action="store_true", help="write the table into docs/size.md")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--many", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        print(json.dumps(steps(given.inside, given.many)))
        return 0
    from foldline.core import files

    place = files.runs() / "bench"
    place.mkdir(parents=True, exist_ok=True)
    heads = ("case", "rows", "read, s", "folds, s", "store, s", "us a row", "peak, MiB", "bound, MiB")
    lines = [f"| {' | '.join(heads)} |", "|---|--:|--:|--:|--:|--:|--:|--:|"]
    print("\n".join(lines), flush=True)
    over = False
    for name in given.names or CASES:
        folder = Path(tempfile.mkdtemp(prefix="size-", dir=place))
        try:
            write(CASES[name], folder)
            cost = measure(CASES[name], folder)
        finally:
            shutil.rmtree(folder)
        over |= cost.memory > CASES[name].bound
        lines.append(line(name, CASES[name], cost))
        print(lines[-1], flush=True)
    if given.page and not given.names:
        head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
        PAGE.write_text(head + MARK + "\n".join(lines) + "\n", encoding="utf-8")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
