"""Writes a small TPS April 2022 into a folder: `python configs/gallery/tps-april-2022/generate.py FOLDER [--shuffled]`

The competition's files, names, types and traps (layout.md), with made-up sensors. Where the state is 1, sensor_00 is
smoother and sensor_04 follows sensor_05: mean and deviation of every sensor say nothing. `--shuffled` deals the states
out again at random, so that there is nothing to learn.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

SENSORS, STEPS = [f"sensor_{number:02}" for number in range(13)], 60
TRAIN_SUBJECTS, TEST_SUBJECTS = 30, 10
MOST, STUCK, DUPLICATES = 32, 0.04, 6  # series of a subject; share of series with a sensor of 0; series that come twice


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write train.csv, train_labels.csv, test.csv and sample_submission.csv."""
    rng = np.random.default_rng(seed)
    subjects, test_subjects = drawn(rng, 0, TRAIN_SUBJECTS), drawn(rng, TRAIN_SUBJECTS, TEST_SUBJECTS)
    state, values = series(rng, subjects)
    for _ in range(DUPLICATES):
        one, subject = int(rng.integers(len(subjects))), subjects[rng.integers(len(subjects))]
        other = int(np.flatnonzero(subjects == subject)[0])
        values[other], state[other] = values[one], state[one]
    if shuffled:
        state = rng.permutation(state)
    _, test_values = series(rng, test_subjects)
    folder.mkdir(parents=True, exist_ok=True)
    table(0, subjects, values).write_csv(folder / "train.csv")
    table(len(subjects), test_subjects, test_values).write_csv(folder / "test.csv")
    pl.DataFrame({"sequence": np.arange(len(subjects)), "state": state}).write_csv(folder / "train_labels.csv")
    numbers = np.arange(len(test_subjects)) + len(subjects)
    pl.DataFrame({"sequence": numbers, "state": np.zeros(len(numbers), int)}).write_csv(
        folder / "sample_submission.csv"
    )


def drawn(rng: np.random.Generator, first: int, count: int) -> np.ndarray:
    """Draw the subject of each series: between 2 and MOST series a subject, in any order."""
    sizes = np.clip(rng.geometric(0.08, count) + 1, 2, MOST)
    return rng.permutation(np.repeat(np.arange(first, first + count), sizes))


def series(rng: np.random.Generator, subjects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw states, (N,), and values, (N, 60, 13), with extreme tails and sensors that are stuck."""
    counts = np.bincount(subjects)[subjects]
    state = (rng.uniform(size=len(subjects)) < 0.35 + 0.3 * (counts > np.median(counts))).astype(int)
    values = rng.standard_t(4, size=(len(subjects), STEPS, len(SENSORS)))
    values[..., 0] = smooth(values[..., 0], np.where(state, 0.4, 0.1))
    together = 0.3 * state[:, None]
    values[..., 4] = together * values[..., 5] + np.sqrt(1 - together**2) * values[..., 4]
    values[..., 2] = np.cumsum(np.round(values[..., 2]), axis=1) / 3  # a coarse sensor that wanders
    values *= rng.lognormal(0, 0.5, size=(int(subjects.max()) + 1, 1, len(SENSORS)))[subjects]
    values *= np.where(rng.uniform(size=values.shape) < 2e-4, 50, 1)  # extreme tails
    for number in np.flatnonzero(rng.uniform(size=len(subjects)) < STUCK):
        values[number, :, rng.integers(len(SENSORS))] = 0.0
    return state, values


def smooth(noise: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Filter noise, (N, T), by x_t = a x_{t-1} + e_t, to a deviation that does not depend on a. by: (N,) a."""
    found = noise.copy()
    for step in range(1, noise.shape[1]):
        found[:, step] = by * found[:, step - 1] + np.sqrt(1 - by**2) * noise[:, step]
    return found


def table(first: int, subjects: np.ndarray, values: np.ndarray) -> pl.DataFrame:
    """Lay out series as the files do; they are numbered on from `first`."""
    numbers = {
        "sequence": np.repeat(np.arange(len(subjects)) + first, STEPS),
        "subject": np.repeat(subjects, STEPS),
        "step": np.tile(np.arange(STEPS), len(subjects)),
    }
    return pl.DataFrame(numbers | dict(zip(SENSORS, values.reshape(-1, len(SENSORS)).T, strict=True)))


if __name__ == "__main__":
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty, and may hold the competition's own files: name another folder.")
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])
