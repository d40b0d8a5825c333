"""Writes a small LANL Earthquake Prediction: `python configs/gallery/lanl/generate.py FOLDER [--shuffled]`

The competition's files, names, types, rates and traps (layout.md), with made-up quakes. The nearer the next failure,
the stronger the signal, and the faster it grows: one over the time that is left, which no line through a deviation
finds. `--shuffled` gives each block the strength of another one, so that there is nothing to learn.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

BLOCK, BETWEEN, INSIDE = 4_096, 1.0e-3, 1.1e-9  # samples of a block; s from one to the next, and from sample to sample
QUAKES, BLOCKS = 14, (56, 90)  # of train; blocks of one
SEGMENTS, ROWS = 6, 150_000  # of test; samples of one
NEAR = 0.012  # s before a failure, within which the signal grows fast


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write train.csv, test/ and sample_submission.csv."""
    rng = np.random.default_rng(seed)
    (folder / "test").mkdir(parents=True, exist_ok=True)
    quakes = [left(rng, int(rng.integers(*BLOCKS))) for _ in range(QUAKES)]
    quakes[0] = quakes[0][len(quakes[0]) // 4 :]  # recording begins and ends in the middle of one
    quakes[-1] = quakes[-1][: len(quakes[-1]) - 9 * BLOCK - 77]
    strong = strengths(rng, quakes, shuffled)
    signal = np.concatenate([sound(rng, each) for each in strong])
    train = pl.DataFrame({"acoustic_data": signal, "time_to_failure": np.concatenate(quakes)})
    train.write_csv(folder / "train.csv", float_precision=10)
    names = sorted(f"seg_{number:06x}" for number in rng.choice(16**6, SEGMENTS, replace=False))
    for name, strength in zip(names, strengths(rng, [segment(rng) for _ in names], shuffled), strict=True):
        pl.DataFrame({"acoustic_data": sound(rng, strength)}).write_csv(folder / "test" / f"{name}.csv")
    pl.DataFrame({"seg_id": names, "time_to_failure": [0] * SEGMENTS}).write_csv(folder / "sample_submission.csv")


def left(rng: np.random.Generator, blocks: int) -> np.ndarray:
    """Count the time to a failure down, s: from block to block, and a little inside one."""
    begin = (np.arange(blocks)[::-1] + rng.uniform(0.3, 0.9)) * BETWEEN
    return (begin[:, None] - np.arange(BLOCK) * INSIDE).ravel()


def segment(rng: np.random.Generator) -> np.ndarray:
    """Take a piece of a quake that is not in train."""
    whole = left(rng, int(rng.integers(*BLOCKS)))
    first = int(rng.integers(len(whole) - ROWS))
    return whole[first : first + ROWS]


def strengths(rng: np.random.Generator, quakes: list[np.ndarray], shuffled: bool) -> list[np.ndarray]:
    """Return how strong the signal is at each sample of each quake: it is drawn for a block at a time."""
    times = np.concatenate([each[::BLOCK] for each in quakes])
    drawn = 2.5 * (1 + NEAR / (times + 0.002)) * rng.lognormal(0, 0.25, len(times))
    drawn = rng.permutation(drawn) if shuffled else drawn
    ends = np.cumsum([len(each[::BLOCK]) for each in quakes])
    parts = np.split(drawn, ends[:-1])
    return [np.repeat(part, BLOCK)[: len(each)] for part, each in zip(parts, quakes, strict=True)]


def sound(rng: np.random.Generator, strength: np.ndarray) -> np.ndarray:
    """Draw a signal, int16, of heavy tails, around a mean that drifts and says nothing."""
    noise = rng.standard_normal(len(strength), dtype=np.float32)
    noise *= np.where(rng.random(len(strength), dtype=np.float32) < 0.002, 6, 1)
    return np.clip(np.round(noise * strength + rng.uniform(3, 6)), -5_500, 5_500).astype(np.int16)


if __name__ == "__main__":
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])
