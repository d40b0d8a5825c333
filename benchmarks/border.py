"""Time and memory of the full-size competition, from files to the store.

    ./run.sh bench border [--breaths 75450] [--test-breaths 50300]
    ./run.sh bench border --against CHECKOUT --repeat 3      # beside another version of foldline, in turn

Simulates a competition of that size once (runs/bench/). Then, in a fresh process with an empty store: reading and
checking, the folds, the features and the store of the train and test tables. Prints seconds a step, by the clock and of
processor time, and peak memory: medians of the runs. The goal for the full size: under 60 s and 6 GiB on 2 cores.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks import measured  # noqa: E402


def steps(source: str) -> list[tuple[str, float, float]]:
    """Run one cold pass and return (step, seconds, seconds of processor time); last the peak memory, GiB, twice."""
    from foldline.data import featurize, folds, loading
    from foldline.data.fold_assignment import FoldsConfig
    from foldline.data.roles import DataConfig

    data = DataConfig(
        id="id",
        key="breath_id",
        order="time_step",
        target=("pressure",),
        inputs=("u_in", "u_out"),
        static=("R", "C"),
        scored="u_out == 0",
        source=source,
    )
    features = featurize.FeaturesConfig(tables={"raw": {"complement": ["u_out"]}})
    marks = [("", time.perf_counter(), time.process_time())]

    def mark(name: str) -> None:
        marks.append((name, time.perf_counter(), time.process_time()))

    competition = loading.load(data)
    mark("read and check")
    folds.obtain(FoldsConfig(kind="stratified-group"), "full", competition.train)
    mark("folds")
    train = featurize.obtain(competition.train, features, competition.levels)
    mark(f"features and store, train {train.x.shape}")
    test = featurize.obtain(competition.test, features, competition.levels)
    mark(f"features and store, test {test.x.shape}")
    spent = [(two[0], two[1] - one[1], two[2] - one[2]) for one, two in itertools.pairwise(marks)]
    peak = measured.peak_bytes() / 2**30
    return [
        *spent,
        ("together", sum(row[1] for row in spent), sum(row[2] for row in spent)),
        ("peak memory, GiB", peak, peak),
    ]


def run(checkout: Path, source: Path) -> list[tuple[str, float, float]]:
    """Run `steps` in a fresh process with the foldline of a checkout."""
    home = tempfile.mkdtemp(prefix="foldline-border-")
    paths = os.pathsep.join([str(checkout / "src"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"FOLDLINE_HOME": home, "PYTHONPATH": paths}
    try:
        words = [sys.executable, "-P", __file__, "--inside", str(source)]
        said = subprocess.run(words, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    finally:
        shutil.rmtree(home)
    return [tuple(row) for row in json.loads(said.splitlines()[-1])]


def medians(runs: list[list[tuple[str, float, float]]]) -> dict[str, tuple[float, float]]:
    """Take the median of each step over runs: (seconds, seconds of processor time)."""
    return {
        rows[0][0]: (statistics.median(row[1] for row in rows), statistics.median(row[2] for row in rows))
        for rows in zip(*runs, strict=True)
    }


def main(argv: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--breaths", type=int, default=75_450)
    parser.add_argument("--test-breaths", type=int, default=50_300)
    parser.add_argument("--against", type=Path, help="checkout of another version")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.inside:
        print(json.dumps(steps(given.inside)))
        return 0
    from foldline.core import files
    from ventilator import simulator

    source = files.runs() / "bench" / f"simulated-{given.breaths}-{given.test_breaths}"
    if not (source / "sample_submission.csv").exists():
        simulator.write_competition(source, breaths=given.breaths, test_breaths=given.test_breaths, seed=0)
    ours, theirs = [], []
    for _ in range(given.repeat):
        theirs += [run(given.against.resolve(), source)] if given.against else []
        ours.append(run(ROOT, source))
    other = medians(theirs) if theirs else {}
    print(f"{'':<50}{'s':>9}{'CPU s':>9}" + (f"{'before':>9}{'CPU s':>9}{'ratio':>8}{'CPU':>8}" if other else ""))
    for name, spent in medians(ours).items():
        line = f"{name:<50}{spent[0]:9.2f}{spent[1]:9.2f}"
        if name in other:
            before = other[name]
            line += f"{before[0]:9.2f}{before[1]:9.2f}{spent[0] / before[0]:8.2f}{spent[1] / before[1]:8.2f}"
        print(line)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
