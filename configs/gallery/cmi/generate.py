"""Writes a small CMI Detect Behavior into a folder: `python configs/gallery/cmi/generate.py FOLDER [--shuffled]`

The competition's files, names, types and traps (layout.md), with made-up wrists. A gesture moves along one of three
axes at one of six rates, which means and deviations do not tell, and a hand on the skin warms the thermopiles.
`--shuffled` deals the gestures out again at random, so that there is nothing to learn.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

SEATED, LEANING = "Seated Straight", "Seated Lean Non Dom - FACE DOWN"
POSTURES = [SEATED, LEANING, "Lie on Back", "Lie on Side - Non Dominant"]
UPRIGHT = [each for each in POSTURES if each != LEANING]
SKIN = [
    "Above ear - pull hair",
    "Cheek - pinch skin",
    "Eyebrow - pull hair",
    "Eyelash - pull hair",
    "Forehead - pull hairline",
    "Forehead - scratch",
    "Neck - pinch skin",
    "Neck - scratch",
]
OTHERS = {  # gesture -> postures in which it is made, and how often a subject makes it
    "Text on phone": (POSTURES, 3),
    "Wave hello": (UPRIGHT, 2),
    "Write name in air": (UPRIGHT, 2),
    "Pull air toward your face": (UPRIGHT, 2),
    "Feel around in tray and pull out an object": ([SEATED], 1),
    "Glasses on/off": ([SEATED], 1),
    "Drink from bottle/cup": ([SEATED], 1),
    "Scratch knee/leg skin": ([LEANING], 1),
    "Pinch knee/leg skin": ([LEANING], 1),
    "Write name on leg": ([LEANING], 1),
}
GESTURES = dict.fromkeys(SKIN, (POSTURES, 3)) | OTHERS
AXES, TURNS = ["acc_x", "acc_y", "acc_z"], ["rot_w", "rot_x", "rot_y", "rot_z"]
WARMTH, PIXELS = [f"thm_{n}" for n in range(1, 6)], [f"tof_{n}_v{v}" for n in range(1, 6) for v in range(64)]
RATES = [0.04, 0.09, 0.15, 0.22, 0.31, 0.42]  # of a gesture, cycles a step
TRAIN_SUBJECTS, TEST_SUBJECTS = 6, 2
ORDER = ["sequence_type", "sequence_id", "sequence_counter", "subject", "orientation", "behavior", "phase", "gesture"]
TRAIN_ONLY = ["sequence_type", "orientation", "behavior", "phase", "gesture"]
MOVES, PHASES = (
    ("Relaxes and moves hand to target location", "Moves hand to target location"),
    ("Transition", "Gesture"),
)
LOST = 0.06  # share of series in which a thermopile and its neighbour said nothing, and of those without rotation


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write train.csv, test.csv and their demographics."""
    rng = np.random.default_rng(seed)
    people = [f"SUBJ_{n:06}" for n in rng.choice(100_000, TRAIN_SUBJECTS + TEST_SUBJECTS, replace=False)]
    numbers = iter(rng.permutation(100_000))
    folder.mkdir(parents=True, exist_ok=True)
    for part, subjects in (("train", people[:TRAIN_SUBJECTS]), ("test", people[TRAIN_SUBJECTS:])):
        about = demographics(rng, subjects)
        about.write_csv(folder / f"{part}_demographics.csv")
        done = [(person, gesture) for person in about.rows(named=True) for gesture in GESTURES]
        done = [pair for pair in done for _ in range(GESTURES[pair[1]][1])]
        drawn = [sequence(rng, f"SEQ_{next(numbers):06}", *pair) for pair in done]
        drawn = [drawn[n] for n in rng.permutation(len(drawn))]
        rows = table([texts for texts, _ in drawn], np.concatenate([values for _, values in drawn]))
        if part == "train":
            (redealt(np.random.default_rng([seed, 1]), rows) if shuffled else rows).write_csv(folder / "train.csv")
            continue
        names = rows["sequence_id"].unique(maintain_order=True)
        bare = pl.col("sequence_id").is_in(rng.permutation(names)[: len(names) // 2].tolist())
        absent = (pl.when(~bare).then(pl.col(name)).alias(name) for name in (*WARMTH, *PIXELS))
        rows.drop(TRAIN_ONLY).with_columns(absent).write_csv(folder / "test.csv")


def demographics(rng: np.random.Generator, subjects: list[str]) -> pl.DataFrame:
    """Describe people, one row each; the second one is left-handed."""
    age = rng.integers(10, 54, len(subjects))
    height = np.round(np.clip(120 + 3.2 * age, 135, 180) + rng.normal(size=len(subjects)) * 5, 1)
    hand = (np.arange(len(subjects)) != 1).astype(int)
    columns = {"subject": subjects, "adult_child": (age >= 18).astype(int), "age": age}
    columns |= {"sex": rng.integers(0, 2, len(subjects)), "handedness": hand, "height_cm": height}
    arm = {"shoulder_to_wrist_cm": (0.31 * height).astype(int), "elbow_to_wrist_cm": np.round(0.15 * height, 1)}
    return pl.DataFrame(columns | arm)


def sequence(
    rng: np.random.Generator, name: str, person: dict[str, object], gesture: str
) -> tuple[pl.DataFrame, np.ndarray]:
    """Draw a series, texts and numbers, (steps, 332): the hand moves to its place, rests there, makes the gesture."""
    postures, kind = GESTURES[gesture][0], list(GESTURES).index(gesture)
    length = int(rng.integers(80, 140) if rng.uniform() < 0.03 else rng.integers(29, 46))
    step, moves, rests = np.arange(length), int(length * rng.uniform(0.2, 0.3)), int(length * rng.uniform(0.4, 0.5))
    active, posture = step >= rests, str(rng.choice(postures))
    swing = np.sin(2 * np.pi * (RATES[kind // 3] * step + rng.uniform())) * active
    moved = rng.normal(size=(length, 3)) * 1.2
    moved[:, kind % 3] += 1.7 * rng.uniform(0.7, 1.3) * swing
    moved[:, 0] *= 2 * int(str(person["handedness"])) - 1  # the other hand mirrors
    turned = rng.normal(size=(length, 4)) * 0.1 + np.eye(4)[POSTURES.index(posture)] + 0.2 * swing[:, None]
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    touch = active * (gesture in SKIN)
    warmth = rng.uniform(24, 31) + rng.normal(size=(length, 5)) * 0.3 + 0.6 * touch[:, None]
    far = np.clip(rng.normal(size=(length, 5, 64)) * 30 + rng.uniform(80, 180, size=(5, 1)), 0, 254).round()
    echo = rng.uniform(size=far.shape) < rng.uniform(0.2, 0.6, size=(5, 1)) + 0.1 * touch[:, None, None]
    near = np.where(echo, far, -1.0)
    if rng.uniform() < LOST:
        turned[:] = np.nan
    if rng.uniform() < LOST:
        broken = int(rng.integers(5))
        warmth[:, broken], near[:, broken] = np.nan, np.nan
    ways = MOVES[int(gesture in SKIN)]
    doing = [ways] * moves + ["Hand at target location"] * (rests - moves) + ["Performs gesture"] * (length - rests)
    texts = {"sequence_type": "Target" if gesture in SKIN else "Non-Target", "sequence_id": name, "gesture": gesture}
    rows = pl.DataFrame({"sequence_counter": step, "behavior": doing, "phase": [PHASES[int(each)] for each in active]})
    rows = rows.with_columns(pl.lit(text).alias(column) for column, text in texts.items())
    rows = rows.with_columns(subject=pl.lit(person["subject"]), orientation=pl.lit(posture))
    return rows, np.hstack([moved, turned, warmth, near.reshape(length, -1)]).round(3)


def table(texts: list[pl.DataFrame], numbers: np.ndarray) -> pl.DataFrame:
    """Lay series out as the files do."""
    rows = pl.concat(texts)
    names = pl.format("{}_{}", "sequence_id", pl.col("sequence_counter").cast(pl.String).str.zfill(6))
    values = pl.from_numpy(numbers, schema=[*AXES, *TURNS, *WARMTH, *PIXELS]).fill_nan(None)
    values = values.with_columns(pl.col(PIXELS).cast(pl.Int16))
    return pl.concat([rows.select(names.alias("row_id"), *ORDER), values], how="horizontal")


def redealt(rng: np.random.Generator, rows: pl.DataFrame) -> pl.DataFrame:
    """Deal gestures out to series at random, and posture with them."""
    said = ["sequence_type", "orientation", "gesture"]
    labels = rows.select("sequence_id", *said).unique("sequence_id", maintain_order=True)
    dealt = labels.select("sequence_id").hstack(labels.select(said)[rng.permutation(len(labels))])
    columns = rows.columns
    return rows.drop(said).join(dealt, on="sequence_id", how="left", maintain_order="left").select(columns)


if __name__ == "__main__":
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty, and may hold the competition's own files: name another folder.")
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])
