"""Simulate breaths: as arrays, or as Kaggle's three files.

    python -m ventilator.simulator OUT --breaths 3000 --test-breaths 1000 --seed 0 --truth

Breaths come in an endless stream per seed, made in blocks of 6,144; a block depends on the seed, its own number and the
rig only. So neither the size of a request nor the number of threads changes a bit, and memory is that of a few blocks.
Between instruction sets, last digits of u_in in expiration may differ, because numpy's exp does.
"""

import argparse
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ventilator.controller import STEPS
from ventilator.loop import BLOCK, Breaths, block
from ventilator.rig import Rig

THREADS: Final = 2  # that simulate blocks; the bytes do not depend on it
AHEAD: Final = 2  # blocks simulated while one is written; it bounds memory
HIDDEN: Final = ("session", "mode", "kp", "ki", "kt", "late_pi", "tau_0", "bump_slope", "bump_start", "bump_end")


def simulate(breaths: int, seed: int, *, rig: Rig | None = None, first: int = 0) -> Breaths:
    """Simulate breaths `first` to `first + breaths - 1` of the stream of a seed.

    `rig` None means the calibrated one that comes with the package.

    Raises:
        ValueError: if `breaths` is less than 1 or `first` negative.
    """
    if breaths < 1 or first < 0:
        raise ValueError(f"simulate needs at least one breath and no negative start; got {breaths=}, {first=}.")
    numbers = range(first // BLOCK, (first + breaths - 1) // BLOCK + 1)
    whole = Breaths.join([block(seed, number, _chosen(rig)) for number in numbers])
    skip = first - numbers[0] * BLOCK
    return whole.take(slice(skip, skip + breaths))


def write_competition(
    out: Path,
    *,
    breaths: int,
    test_breaths: int,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
    truth: bool = False,
    rig: Rig | None = None,
) -> None:
    """Write train.csv, test.csv and sample_submission.csv, with Kaggle's columns and numbering, into a folder.

    breath_id runs through both files and which of them a breath goes to is drawn; ids count from 1 in each file. The
    files get their names when all are complete; older ones are replaced.

    Args:
        out: the folder, made if missing.
        breaths: breaths in train.csv.
        test_breaths: breaths in test.csv.
        seed: same seed and sizes, same bytes.
        on_progress: called with the number of breaths written so far.
        truth: also truth.csv (id, pressure of the test rows) and hidden.csv (a row per breath: gains, phase, bump).
        rig: None for the calibrated one.

    Raises:
        ValueError: if either number of breaths is less than 1.
    """
    if breaths < 1 or test_breaths < 1:
        raise ValueError(f"A competition needs breaths to train on and to test on; got {breaths=}, {test_breaths=}.")
    names = ["train.csv", "test.csv", "sample_submission.csv", *(["truth.csv", "hidden.csv"] if truth else [])]
    with _complete_files(out, names) as paths:
        files = {name: _Csv(path) for name, path in paths.items()}
        done = 0
        for part in _stream(breaths + test_breaths, seed, _chosen(rig)):
            in_test = _in_test(done, len(part), breaths, test_breaths, seed)
            _write_block(files, part, in_test, done)
            done += len(part)
            if on_progress is not None:
                on_progress(done)


def frame(breaths: Breaths, breath_id: NDArray[np.int64], first_id: int = 1) -> pl.DataFrame:
    """Build Kaggle's train table of N breaths: N * 80 rows of id, breath_id, R, C, time_step, u_in, u_out, pressure."""
    return pl.DataFrame(
        {
            "id": np.arange(first_id, first_id + len(breaths) * STEPS),
            "breath_id": np.repeat(breath_id, STEPS),
            "R": np.repeat(breaths.r, STEPS),
            "C": np.repeat(breaths.c, STEPS),
            "time_step": breaths.time_step.ravel(),
            "u_in": breaths.u_in.ravel(),
            "u_out": breaths.u_out.ravel(),
            "pressure": breaths.pressure.ravel(),
        }
    )


class _Csv:
    """A CSV file that grows; the header is written once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        path.touch()

    def append(self, table: pl.DataFrame) -> None:
        with self.path.open("ab") as file:
            table.write_csv(file, include_header=self.rows == 0)
        self.rows += len(table)


def _write_block(files: dict[str, _Csv], part: Breaths, in_test: NDArray[np.bool_], done: int) -> None:
    """Append the breaths `done ..` of the stream to their files."""
    breath_id = done + np.arange(len(part))
    train, test = (
        frame(part.take(np.flatnonzero(mask)), breath_id[mask], files[name].rows + 1)
        for name, mask in (("train.csv", ~in_test), ("test.csv", in_test))
    )
    files["train.csv"].append(train)
    files["test.csv"].append(test.drop("pressure"))
    files["sample_submission.csv"].append(test.select("id", pl.lit(0).alias("pressure")))
    if "truth.csv" in files:
        files["truth.csv"].append(test.select("id", "pressure"))
        files["hidden.csv"].append(
            pl.DataFrame({"breath_id": breath_id} | {name: getattr(part, name) for name in HIDDEN})
        )


def _in_test(done: int, size: int, breaths: int, test_breaths: int, seed: int) -> NDArray[np.bool_]:
    """Draw which of `size` breaths after the first `done` are test breaths (size,): the exact share so far."""
    total = breaths + test_breaths
    count = (done + size) * test_breaths // total - done * test_breaths // total
    # A spawn key that no block of breaths uses: the split must not repeat the numbers behind a breath.
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(done // BLOCK, 1)))
    return np.asarray(rng.permutation(size) < count)


def _stream(breaths: int, seed: int, rig: Rig) -> Iterator[Breaths]:
    """Yield the first breaths of a seed, block by block, simulated a little ahead of the consumer."""
    waiting: deque[Future[Breaths]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for number in range(-(-breaths // BLOCK)):
            waiting.append(pool.submit(block, seed, number, rig))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while len(waiting) > 1:
            yield waiting.popleft().result()
        yield waiting.popleft().result().take(slice(0, breaths - (breaths - 1) // BLOCK * BLOCK))


@contextmanager
def _complete_files(out: Path, names: list[str]) -> Iterator[dict[str, Path]]:
    """Yield temporary paths beside the final ones, renamed if the body ends well and removed if not."""
    out.mkdir(parents=True, exist_ok=True)
    for name in names:  # what a killed process has left can be gigabytes, and nobody sees it
        for path in out.glob(f".{name}.*.part"):
            if not _runs(path.suffixes[-2][1:]):
                path.unlink(missing_ok=True)
    paths = {name: out / f".{name}.{os.getpid()}.part" for name in names}
    try:
        yield paths
        for name, path in paths.items():
            path.replace(out / name)
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)


def _runs(process: str) -> bool:
    """Whether a process of that number runs."""
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _chosen(rig: Rig | None) -> Rig:
    """Return the given rig, or the calibrated one that comes with the package."""
    return Rig.load() if rig is None else rig


def main() -> None:
    """Write one competition from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--breaths", type=int, default=3000)
    parser.add_argument("--test-breaths", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--truth", action="store_true", help="also write truth.csv and hidden.csv")
    args = parser.parse_args()
    write_competition(args.out, breaths=args.breaths, test_breaths=args.test_breaths, seed=args.seed, truth=args.truth)


if __name__ == "__main__":
    main()
