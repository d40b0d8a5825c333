"""What checksums cost: CPU seconds inside them, of a quickstart and of files -> store. Run: ./run.sh bench checksums

Both run in this process, so that every call is counted; a fresh FOLDLINE_HOME is used and thrown away. `--breaths` sets
the size of the second job (the competition has 75,450). Exits 1 where checksums take more than 2 % of the quickstart's
CPU seconds, or more than 10 % of the store's.
"""

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BOUNDS = {"quickstart": 0.02, "files -> store": 0.10}  # share of the CPU seconds
SPENT = [0.0]  # CPU s inside checksums, of all threads
LOCK = threading.Lock()


def timed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Count the CPU seconds of a function's calls, of the thread that calls it."""

    def call(*given: Any, **named: Any) -> Any:
        began = time.thread_time()
        try:
            return function(*given, **named)
        finally:
            with LOCK:
                SPENT[0] += time.thread_time() - began

    return call


def count_checksums() -> None:
    """Put a clock around everything that computes a checksum; one of them calls no other that is counted."""
    from foldline.core import artefacts, checksums
    from foldline.fit import checkpoint

    checksums.of_file = timed(checksums.of_file)
    checksums.damage = timed(checksums.damage)
    artefacts._own = timed(artefacts._own)
    checkpoint._digest = timed(checkpoint._digest)
    checkpoint._is_as_written = timed(checkpoint._is_as_written)
    from foldline.data import feature_file

    class Counted:  # a chunk of the store is summed up in the thread that computed it
        of_bytes, of_chunks = staticmethod(timed(checksums.of_bytes)), staticmethod(checksums.of_chunks)

    feature_file.checksums = Counted  # type: ignore[assignment, attr-defined]


def quickstart() -> None:
    """Train the quickstart."""
    from foldline.cli.main import main

    assert main(["train", "quickstart", "executor.kind=serial", "track.wandb=disabled", "--quiet"]) == 0


def files_to_store(folder: Path) -> None:
    """Read and check the competition's files, and make the training table's features."""
    from foldline.data import featurize, loading
    from foldline.experiment import config as configs

    config = configs.load(Path("quickstart"), [f"data.source={folder}"])
    competition = loading.load(config.data)
    featurize.obtain(competition.train, config.features, competition.levels)


def main() -> int:
    """Measure both jobs, print a row each, and compare with the bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--breaths", type=int, default=20_000)
    breaths = parser.parse_args().breaths
    with tempfile.TemporaryDirectory(prefix="foldline-checksums-") as scratch:
        os.environ["FOLDLINE_HOME"] = scratch
        shutil.copytree(ROOT / "configs", Path(scratch) / "configs")
        count_checksums()
        from ventilator import simulator

        simulator.write_competition(Path(scratch) / "big", breaths=breaths, test_breaths=10, seed=0)
        jobs: dict[str, Callable[[], None]] = {
            "quickstart": quickstart,
            "files -> store": lambda: files_to_store(Path(scratch) / "big"),
        }
        worst = False
        for name, job in jobs.items():
            SPENT[0], began = 0.0, time.process_time()
            job()
            whole = time.process_time() - began
            share = SPENT[0] / whole
            worst |= share > BOUNDS[name]
            print(
                f"{name:<15} {whole:8.2f} CPU s, in checksums {SPENT[0]:7.3f} s: {share:.2%} (bound {BOUNDS[name]:.0%})"
            )
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
