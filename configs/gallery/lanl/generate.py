"""Writes a small LANL Earthquake Prediction: `python configs/gallery/lanl/generate.py FOLDER [--shuffled]`

The competition's files, names, types, rates and traps (layout.md), with made-up quakes. The signal is strong after a
failure and dies away, and grows, faster and faster, towards the next one: how strong it is says little, how it changes
says much. `--shuffled` draws its strength at random, so that there is nothing to learn.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

BLOCK, BETWEEN, INSIDE = 4_096, 1.0e-3, 1.1e-9  # samples of a block; s from one to the next, and from sample to sample
QUAKES, BLOCKS = 14, (56, 90)  # of train; blocks of one
SEGMENTS, ROWS = 6, 150_000  # of test; samples of one
NEAR = 0.012  # s before a failure or behind one, within which the signal is much stronger


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write train.csv, test/ and sample_submission.csv."""
    rng = np.random.default_rng(seed)
    (folder / "test").mkdir(parents=True, exist_ok=True)
    quakes = [quake(rng, shuffled) for _ in range(QUAKES)]
    quakes[0] = tuple(part[len(part) // 4 :] for part in quakes[0])  # recording begins and ends in the middle of one
    quakes[-1] = tuple(part[: len(part) - 9 * BLOCK - 77] for part in quakes[-1])
    left, signal = (np.concatenate(parts) for parts in zip(*quakes, strict=True))
    train = pl.DataFrame({"acoustic_data": signal, "time_to_failure": left})
    train.write_csv(folder / "train.csv", float_precision=10)
    names = sorted(f"seg_{number:06x}" for number in rng.choice(16**6, SEGMENTS, replace=False))
    for name in names:
        _, whole = quake(rng, shuffled)
        first = int(rng.integers(len(whole) - ROWS))
        pl.DataFrame({"acoustic_data": whole[first : first + ROWS]}).write_csv(folder / "test" / f"{name}.csv")
    pl.DataFrame({"seg_id": names, "time_to_failure": [0] * SEGMENTS}).write_csv(folder / "sample_submission.csv")


def quake(rng: np.random.Generator, shuffled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Draw the samples from one failure to the next: the time that is left, s, and the signal."""
    left = (np.arange(rng.integers(*BLOCKS))[::-1] + rng.uniform(0.3, 0.9)) * BETWEEN  # at the start of each block
    near, past = rng.uniform(0, BLOCKS[1] * BETWEEN, (2, len(left))) if shuffled else (left, left[0] - left)
    strength = 2.5 * (1 + NEAR / (near + 0.002) + 0.8 * NEAR / (past + 0.002)) * rng.lognormal(0, 0.2, len(left))
    return (left[:, None] - np.arange(BLOCK) * INSIDE).ravel(), sound(rng, np.repeat(strength, BLOCK))


def sound(rng: np.random.Generator, strength: np.ndarray) -> np.ndarray:
    """Draw a signal, int16, of heavy tails, around a mean that drifts and says nothing."""
    noise = rng.standard_normal(len(strength), dtype=np.float32)
    noise *= np.where(rng.random(len(strength), dtype=np.float32) < 0.002, 6, 1)
    return np.clip(np.round(noise * strength + rng.uniform(3, 6)), -5_500, 5_500).astype(np.int16)


if __name__ == "__main__":
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty, and may hold the competition's own files: name another folder.")
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])
