"""Time and memory of the full-size competition, from files to the store.

    ./run.sh bench border [--breaths 75450] [--test-breaths 50300]

Simulates a competition of that size once (runs/bench/). Then, in a fresh process with an empty store: reading and
checking, the folds, the features and the store of the train and test tables. Prints seconds a step and peak
memory. The goal for the full size: under 60 s and 6 GiB on 2 cores.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path


def steps(source: str, home: str) -> list[tuple[str, float]]:
    """Run one cold pass and return (step, seconds); peak memory last, in GiB."""
    os.environ["FOLDLINE_HOME"] = home
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
    marks = [("", time.perf_counter())]
    competition = loading.load(data)
    marks.append(("read and check", time.perf_counter()))
    folds.obtain(FoldsConfig(kind="stratified-group"), "full", competition.train)
    marks.append(("folds", time.perf_counter()))
    train = featurize.obtain(competition.train, features, competition.levels)
    marks.append((f"features and store, train {train.x.shape}", time.perf_counter()))
    test = featurize.obtain(competition.test, features, competition.levels)
    marks.append((f"features and store, test {test.x.shape}", time.perf_counter()))
    spent = [(name, end - start) for (_, start), (name, end) in itertools.pairwise(marks)]
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return [*spent, ("peak memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)]


def main(argv: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--breaths", type=int, default=75_450)
    parser.add_argument("--test-breaths", type=int, default=50_300)
    size = parser.parse_args(argv)
    from foldline.core import files
    from ventilator import simulator

    source = files.runs() / "bench" / f"simulated-{size.breaths}-{size.test_breaths}"
    if not (source / "sample_submission.csv").exists():
        simulator.write_competition(source, breaths=size.breaths, test_breaths=size.test_breaths, seed=0)
    home = Path(tempfile.mkdtemp(prefix="foldline-border-"))
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows = pool.apply(steps, (str(source), str(home)))
    finally:
        shutil.rmtree(home)
    for name, value in rows[:-1]:
        print(f"{name:<50} {value:8.2f} s")
    print(f"{'together':<50} {sum(value for _, value in rows[:-1]):8.2f} s")
    print(f"{'peak memory':<50} {rows[-1][1]:8.2f} GiB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
