"""Writes a small HMS: `python configs/gallery/hms/generate.py FOLDER [--shuffled]`

The competition's EEG files with their names, types, rate and traps (layout.md), and made-up brains: discharges about
once a second, delta waves, or faster ones that grow, on one side or on both, in noise of any strength. Means and
deviations say little of them. `--shuffled` deals all votes out again at random, so that there is nothing to learn.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl
from scipy.signal import lfilter

SIDES = [["Fp1", "F3", "C3", "P3", "F7", "T3", "T5", "O1"], ["Fp2", "F4", "C4", "P4", "F8", "T4", "T6", "O2"]]
CHANNELS = [*SIDES[0], "Fz", "Cz", "Pz", *SIDES[1], "EKG"]
FRONT = {"F": 1.0, "C": 0.5, "T": 0.5, "P": 0.2, "O": 0.0}  # how much of a pattern a channel has, by its first letter
KINDS, VOTES = ["Seizure", "LPD", "GPD", "LRDA", "GRDA", "Other"], ["seizure", "lpd", "gpd", "lrda", "grda", "other"]
LIKELY = np.array([[8, 1, 1, 1, 1, 2], [1, 8, 3, 1, 0, 2], [1, 3, 8, 0, 1, 2], [1, 2, 0, 8, 3, 2], [1, 0, 2, 3, 8, 2]])
LIKELY = np.concatenate([LIKELY, [[1, 1, 1, 1, 1, 10]]])  # what raters say, by what it is
RATE, SECONDS = 200, 50  # Hz; of a window
PATIENTS, TEST_PATIENTS, MOST = 26, 4, 3  # EEGs of a patient at most


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write train.csv, test.csv, train_eegs/, test_eegs/ and sample_submission.csv."""
    rng = np.random.default_rng(seed)
    for name in ("train_eegs", "test_eegs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    numbers = iter(rng.choice(2**32 - 1, 2_000, replace=False).tolist())
    rows, votes = [], []
    for number, patient in enumerate(rng.choice(65_000, PATIENTS + TEST_PATIENTS, replace=False).tolist()):
        known = number < PATIENTS
        for _ in range(int(rng.integers(1, MOST + 1))):
            kind, eeg, spectrogram = int(rng.integers(len(KINDS))), next(numbers), next(numbers) >> 1
            offsets = np.cumsum([0, *rng.integers(1, 5, int(rng.integers(0, 4)))]) * 2 if known else np.zeros(1, int)
            place = folder / ("train_eegs" if known else "test_eegs") / f"{eeg}.parquet"
            brain(rng, kind, SECONDS + int(offsets[-1]) + (int(rng.integers(0, 4)) if known else 0)).write_parquet(
                place
            )
            for sub, offset in enumerate(offsets.tolist()):
                ids = {"eeg_id": eeg, "eeg_sub_id": sub, "eeg_label_offset_seconds": float(offset)}
                ids |= {"spectrogram_id": spectrogram, "spectrogram_sub_id": sub}
                ids |= {"spectrogram_label_offset_seconds": float(offset), "label_id": next(numbers)}
                rows.append({**ids, "patient_id": patient, "known": known})
                votes.append(rng.multinomial(int(rng.integers(3, 21)), LIKELY[kind] / LIKELY[kind].sum()))
    table = pl.DataFrame(rows)
    train, test = table.filter("known").drop("known"), table.filter(~pl.col("known"))
    dealt = np.array(votes)[: train.height]
    said = rng.permutation(dealt) if shuffled else dealt
    consensus = pl.Series("expert_consensus", np.array(KINDS)[said.argmax(axis=1)])
    columns = [pl.Series(f"{name}_vote", said[:, place]) for place, name in enumerate(VOTES)]
    train.with_columns(consensus, *columns).write_csv(folder / "train.csv")
    test.select("spectrogram_id", "eeg_id", "patient_id").write_csv(folder / "test.csv")
    shares = [pl.lit(1 / len(VOTES)).alias(f"{name}_vote") for name in VOTES]
    test.select("eeg_id", *shares).write_csv(folder / "sample_submission.csv")


def brain(rng: np.random.Generator, kind: int, seconds: int) -> pl.DataFrame:
    """Draw an EEG of a kind, µV, float32; a channel may come off for a while."""
    rows, t = seconds * RATE, np.arange(seconds * RATE) / RATE
    signals = lfilter([1], [1, -0.9], rng.normal(scale=5, size=(len(CHANNELS), rows))) + rng.normal(scale=5, size=rows)
    side = None if KINDS[kind] in ("GPD", "GRDA") else int(rng.integers(2))
    for place, name in enumerate(CHANNELS[:-1]):
        if side is None or name in SIDES[side] or name.endswith("z"):
            signals[place] += 45 * FRONT[name[0]] * pattern(rng, kind, t)
    signals[-1] += 200 * pulses(t, np.arange(0.2, t[-1], 0.8), 0.02)
    signals = np.round(signals * rng.lognormal(0.6, 0.4) * 2) / 2
    first, channel = int(rng.integers(rows)), int(rng.integers(len(CHANNELS) - 1))
    if rng.uniform() < 0.2:
        signals[channel, first : first + int(rng.integers(2 * RATE))] = np.nan
    return pl.DataFrame(dict(zip(CHANNELS, signals.astype(np.float32), strict=True)))


def pattern(rng: np.random.Generator, kind: int, t: np.ndarray) -> np.ndarray:
    """Return what a kind looks like, (rows,), of size one."""
    if KINDS[kind] == "Seizure":
        return np.sin(2 * np.pi * 6 * t) * (0.3 + t / t[-1])
    if KINDS[kind] in ("LPD", "GPD"):
        return 2.5 * pulses(t, np.cumsum(rng.uniform(0.8, 1.1, int(t[-1]))), 0.06)
    if KINDS[kind] in ("LRDA", "GRDA"):
        return np.sin(2 * np.pi * 2 * t)
    return np.zeros_like(t)


def pulses(t: np.ndarray, at: np.ndarray, width: float) -> np.ndarray:
    """Return a spike at each of some times, s. width: s."""
    nearest = at[np.clip(np.searchsorted(at, t), 1, len(at) - 1) - (t < 0)]
    before = at[np.clip(np.searchsorted(at, t) - 1, 0, len(at) - 1)]
    apart = np.where(np.abs(t - before) < np.abs(t - nearest), t - before, t - nearest) / width
    return np.exp(-(apart**2)) - 0.5 * np.exp(-((apart - 2) ** 2))


if __name__ == "__main__":
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty, and may hold the competition's own files: name another folder.")
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])
