"""Simulate gestures, as Kaggle's three files: one label a series, which a model has to tell from six signals.

    python -m gestures.simulator OUT --series 1000 --test-series 400 --seed 0 --truth

A wrist sensor measures acceleration with gravity (m/s^2) and rotation (rad/s). A subject wears it askew in an own way,
and moves at an own speed and strength; a series is one gesture, between rests of unequal length. No subject is in both
files, so folds have to keep subjects together. The movements are made up, and only look like those of real hands: what
tells them apart is their axis, order and rhythm, under tremor, drift and noise.

The same seed and sizes give the same bytes on one machine; numpy's sine may differ in its last bit on another.
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHARES: Final = {  # label: share of the series
    "circle": 0.20,
    "double_tap": 0.14,
    "raise": 0.17,
    "shake": 0.11,
    "swipe_left": 0.20,
    "swipe_right": 0.18,
}
GESTURES: Final = tuple(SHARES)
SIGNALS: Final = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")
DIGITS: Final = 4  # of every printed number
SERIES_PER_SUBJECT: Final = 20  # on average
FEWEST_SUBJECTS: Final = 6  # of a file
SHORTEST, LONGEST = 30, 120  # steps of a series

GRAVITY: Final = 9.81  # m/s^2
STEP_S, JITTER_S = 0.03, 0.002  # between two steps: mean, and standard deviation
DURATION_S: Final = 1.3  # of a gesture, before speed
REST_S: Final = (0.0, 1.2)  # before a gesture, and after it
ASKEW, ASKEW_AGAIN = 0.4, 0.12  # rad, standard deviation about each axis: of a subject, and of one series
SPEED, SPEED_AGAIN = 0.25, 0.2  # standard deviation of the logarithm: of a subject, and of one series
STRENGTH, STRENGTH_AGAIN = 0.25, 0.35
PUSH, TURN = 4.0, 2.0  # m/s^2 and rad/s at the height of a gesture
TREMOR, TREMOR_MEMORY = 0.65, 0.8  # m/s^2; share kept from step to step
TURN_TREMOR: Final = 0.34  # rad/s
NOISE, TURN_NOISE = 0.6, 0.3  # m/s^2 and rad/s, of the sensor


@dataclass(frozen=True, kw_only=True)
class Subject:
    """How one person wears the sensor and moves."""

    name: str
    angles: Array  # (3,) rad about x, y, z: how the sensor sits on the wrist
    speed: float  # 1: a gesture takes DURATION_S
    strength: float  # 1: PUSH and TURN

    @classmethod
    def draw(cls, rng: Generator, name: str) -> Self:
        """Draw one person."""
        speed, strength = np.exp(rng.normal(0.0, (SPEED, STRENGTH)))
        return cls(name=name, angles=rng.normal(0.0, ASKEW, 3), speed=float(speed), strength=float(strength))


def movement(gesture: str, phase: Array, rng: Generator) -> tuple[Array, Array]:
    """Return acceleration and rotation of a gesture in the body's frame, each (3, T), at most about 1.

    phase: (T,) 0 at the gesture's start, 1 at its end; outside there is no movement.
    """
    inside = (phase > 0.0) & (phase < 1.0)
    swell = np.where(inside, np.sin(np.pi * phase) ** 2, 0.0)
    there_and_back = np.where(inside, np.sin(2.0 * np.pi * phase), 0.0)
    still = np.zeros(len(phase))
    match gesture:
        case "circle":
            turns, start = rng.uniform(1.4, 2.2), rng.uniform(-0.5, 0.5)
            angle = 2.0 * np.pi * turns * phase + start
            push, turn = [swell * np.cos(angle), swell * np.sin(angle), still], [still, still, 0.5 * swell]
        case "shake":
            beat = np.sin(2.0 * np.pi * rng.uniform(2.5, 4.0) * phase)
            push, turn = [swell * beat, 0.3 * swell * beat, still], [still, 0.6 * swell * beat, still]
        case "double_tap":
            gap = rng.uniform(0.25, 0.4)
            away = np.abs(phase - 0.5) - gap / 2.0  # from the nearer of two taps
            taps = np.exp(-np.square(away / 0.06))
            push, turn = [still, still, -1.2 * taps], [0.3 * taps, still, still]
        case "raise":
            push, turn = [still, 0.3 * there_and_back, 0.8 * there_and_back], [0.6 * swell, still, still]
        case _:  # the two swipes are each other's mirror image: out and back, with the wrist
            side = -1.0 if gesture == "swipe_left" else 1.0
            push = [side * there_and_back, 0.2 * swell, still]
            turn = [still, still, 0.5 * side * there_and_back]
    return np.array(push), np.array(turn)


def one_series(rng: Generator, subject: Subject, gesture: str) -> dict[str, Array]:
    """Simulate one gesture: t (s) and the six signals, each (T,)."""
    speed, strength = (subject.speed, subject.strength) * np.exp(rng.normal(0.0, (SPEED_AGAIN, STRENGTH_AGAIN)))
    duration, before, after = DURATION_S / speed, *rng.uniform(*REST_S, 2)
    steps = int(np.clip((before + duration + after) / STEP_S, SHORTEST, LONGEST))
    time = np.cumsum(np.maximum(rng.normal(STEP_S, JITTER_S, steps), STEP_S / 2.0))
    time -= time[0]
    push, turn = movement(gesture, (time - before) / duration, rng)
    drift = np.cumsum(rng.normal(0.0, 0.02, (3, steps)), axis=1)  # rad; the arm at rest is not still
    gravity = GRAVITY * np.stack([-np.sin(drift[1]), np.sin(drift[0]), np.cos(drift[0]) * np.cos(drift[1])])
    acceleration = gravity + PUSH * strength * speed * push + TREMOR * _remembering(rng, steps)
    rotation = TURN * strength * speed * turn + TURN_TREMOR * _remembering(rng, steps)
    angles = subject.angles + rng.normal(0.0, ASKEW_AGAIN, 3)
    signals = [*turned(acceleration, angles), *turned(rotation, angles)]
    noise = rng.normal(size=(6, steps)) * np.repeat([NOISE, TURN_NOISE], 3)[:, None]
    return {"t": time} | dict(zip(SIGNALS, np.array(signals) + noise, strict=True))


def turned(vectors: Array, angles: Array) -> Array:
    """Turn vectors (3, T) about x, then y, then z, by angles (3,) in rad."""
    found = list(vectors)
    for axis, angle in enumerate(angles):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        a, b = found[one], found[other]
        found[one], found[other] = np.cos(angle) * a - np.sin(angle) * b, np.sin(angle) * a + np.cos(angle) * b
    return np.array(found)


def _remembering(rng: Generator, steps: int) -> Array:
    """Draw tremors (3, steps) of standard deviation 1 that keep TREMOR_MEMORY of their value from step to step."""
    found = rng.normal(size=(3, steps))
    for step in range(1, steps):
        found[:, step] = TREMOR_MEMORY * found[:, step - 1] + np.sqrt(1.0 - TREMOR_MEMORY**2) * found[:, step]
    return found


def write_competition(folder: Path, *, series: int, test_series: int, seed: int, truth: bool = False) -> None:
    """Write train.csv, test.csv and sample_submission.csv into a folder.

    Both tables have a row a step: sequence_id, subject, t, the six signals; train.csv has `gesture` on each row, too.
    The sample has a row a series. Labels have their exact SHARES in each file, rounded. The files get their names when
    all are complete; older ones are replaced.

    Args:
        folder: made if missing.
        series: in train.csv.
        test_series: in test.csv.
        seed: same seed and sizes, same bytes.
        truth: also truth.csv, the sample with the right labels.

    Raises:
        ValueError: where a file would hold fewer than two series of a gesture.
    """
    fewest = 2 * len(GESTURES)
    if series < fewest or test_series < fewest:
        raise ValueError(
            f"A competition of {len(GESTURES)} gestures needs {fewest} series at least to train on and as many to test "
            f"on, but got {series=}, {test_series=}."
        )
    rng = np.random.default_rng(seed)
    ids = rng.permutation(series + test_series)
    train_subjects, test_subjects = _subjects(rng, series, test_series)
    train = _table(rng, np.sort(ids[:series]), train_subjects)
    test = _table(rng, np.sort(ids[series:]), test_subjects)
    answers = test.select("sequence_id", "gesture").unique(maintain_order=True)
    tables = {
        "train.csv": train,
        "test.csv": test.drop("gesture"),
        "sample_submission.csv": answers.with_columns(pl.lit(GESTURES[0]).alias("gesture")),
    }
    _write(folder, tables | ({"truth.csv": answers} if truth else {}))


def _subjects(rng: Generator, *series: int) -> list[list[Subject]]:
    """Draw the subjects of each file; nobody is in two, and names say nothing about the file."""
    counts = [max(FEWEST_SUBJECTS, round(number / SERIES_PER_SUBJECT)) for number in series]
    people = [Subject.draw(rng, f"s{number:03}") for number in rng.permutation(sum(counts))]
    ends = np.cumsum(counts).tolist()
    return [people[end - count : end] for count, end in zip(counts, ends, strict=True)]


def _table(rng: Generator, ids: NDArray[np.int64], subjects: list[Subject]) -> pl.DataFrame:
    """Simulate the series of one file, a row a step."""
    ends = np.rint(np.cumsum([0.0, *SHARES.values()]) / sum(SHARES.values()) * len(ids)).astype(int)
    gestures = rng.permutation(np.repeat(GESTURES, np.diff(ends)))
    people = rng.integers(len(subjects), size=len(ids))
    parts = []
    for number, gesture, person in zip(ids.tolist(), gestures.tolist(), people.tolist(), strict=True):
        subject = subjects[person]
        columns = one_series(rng, subject, gesture)
        named = {"sequence_id": pl.lit(number), "subject": pl.lit(subject.name), "gesture": pl.lit(gesture)}
        parts.append(pl.DataFrame(columns).with_columns(**named))
    rows = pl.concat(parts).with_columns(pl.col("t", *SIGNALS).round(DIGITS))
    return rows.select("sequence_id", "subject", "t", *SIGNALS, "gesture")


def _write(folder: Path, tables: dict[str, pl.DataFrame]) -> None:
    """Write CSV files under temporary names beside the final ones; none gets its name before all are complete."""
    folder.mkdir(parents=True, exist_ok=True)
    drafts = {name: folder / f".{name}.{os.getpid()}.part" for name in tables}
    try:
        for name, draft in drafts.items():
            tables[name].write_csv(draft)
        for name, draft in drafts.items():
            draft.replace(folder / name)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def main() -> None:
    """Write one competition from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--test-series", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--truth", action="store_true", help="also write truth.csv")
    args = parser.parse_args()
    write_competition(args.out, series=args.series, test_series=args.test_series, seed=args.seed, truth=args.truth)


if __name__ == "__main__":
    main()
