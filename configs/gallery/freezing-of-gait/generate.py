"""Writes a small Freezing of Gait: `python configs/gallery/freezing-of-gait/generate.py FOLDER [--shuffled]`

The competition's files, names, types, units and traps (layout.md), with made-up walks. While the gait is frozen the
body trembles at 5 Hz instead of stepping at 1.5 Hz, along an axis that tells the kind of event: one sample says little,
its neighbours much. `--shuffled` draws each sample's labels at random, so that there is nothing to learn.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

KINDS, AXES = ["StartHesitation", "Turn", "Walking"], ["AccV", "AccML", "AccAP"]
LAB, HOME = 128, 100  # Hz
GRAVITY = 9.80665  # m/s² in a g: the lab's files are in m/s², those from home in g
LAB_SUBJECTS, HOME_SUBJECTS, NO_TYPE, DAILY = 8, 5, 2, 1
STEPS = (600, 1_100)  # samples of a walk
SHARES = [0.09, 0.18, 0.09, 0.64]  # of the kinds, and of none, where labels say nothing


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write the folders of walks, the tables about them, and sample_submission.csv."""
    rng = np.random.default_rng(seed)
    for name in ("train/tdcsfog", "train/defog", "train/notype", "test/tdcsfog", "test/defog", "unlabeled"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    people = [f"{n:06x}" for n in rng.choice(16**6, LAB_SUBJECTS + HOME_SUBJECTS + 4, replace=False)]
    lab, home, unseen = people[:LAB_SUBJECTS], people[LAB_SUBJECTS:-4], people[-4:]
    labs = [(name, visit, test) for name in lab for visit, test in ((3, 1), (4, 2))] + [
        (each, 3, 1) for each in unseen[:2]
    ]
    homes = [(name, visit) for name in home for visit in (1, 2)] + [(each, 1) for each in unseen[2:]]
    events, tdcsfog, defog, tasks = [], [], [], []
    for person, visit, test in labs:
        place = "test" if person in unseen else "train"
        tdcsfog.append(
            {"Id": identity(rng), "Subject": person, "Visit": visit, "Test": test, "Medication": medication(rng)}
        )
        walk, found = drawn(rng, LAB, shuffled)
        events += [{"Id": tdcsfog[-1]["Id"], **each} for each in found if place == "train"]
        stored(walk, place).write_csv(folder / place / "tdcsfog" / f"{tdcsfog[-1]['Id']}.csv")
    for number, (person, visit) in enumerate(homes):
        place = "test" if person in unseen else "train"
        defog.append({"Id": identity(rng), "Subject": person, "Visit": visit, "Medication": medication(rng)})
        walk, found = drawn(rng, HOME, shuffled)
        begin, end = 0.08 * len(walk) / HOME, 0.9 * len(walk) / HOME
        tasks.append({"Id": defog[-1]["Id"], "Begin": round(begin, 3), "End": round(end, 3), "Task": "4MW"})
        at = pl.col("Time") / HOME
        walk = walk.with_columns(
            pl.col(AXES) / GRAVITY, Valid=at < 0.97 * len(walk) / HOME, Task=at.is_between(begin, end)
        )
        untyped = place == "train" and number < NO_TYPE
        events += [
            {"Id": defog[-1]["Id"], **each, **({"Type": None} if untyped else {})} for each in found if place == "train"
        ]
        if untyped:
            event = pl.max_horizontal(KINDS).alias("Event")
            walk = walk.select("Time", *AXES, event, "Valid", "Task")
        stored(walk, place).write_csv(folder / place / ("notype" if untyped else "defog") / f"{defog[-1]['Id']}.csv")
    written = {"tdcsfog_metadata": tdcsfog, "defog_metadata": defog, "events": events, "tasks": tasks}
    written["subjects"] = subjects(rng, [*lab, *unseen[:2]], [*home, *unseen[2:]])
    written["daily_metadata"] = [daily(rng, folder, person) for person in people[:DAILY]]
    for name, rows in written.items():
        pl.DataFrame(rows, infer_schema_length=None).write_csv(folder / f"{name}.csv")
    sample(folder).write_csv(folder / "sample_submission.csv")


def identity(rng: np.random.Generator) -> str:
    """Draw the name of a series, ten hexadecimal digits."""
    return f"{rng.integers(16**10):010x}"


def medication(rng: np.random.Generator) -> str:
    """Draw whether the walk was after medication."""
    return str(rng.choice(["on", "off"]))


def drawn(rng: np.random.Generator, rate: int, shuffled: bool) -> tuple[pl.DataFrame, list[dict[str, object]]]:
    """Draw a walk in m/s² with its labels, one row a sample, and its events in seconds."""
    length = int(rng.integers(*STEPS))
    t, labels = np.arange(length) / rate, np.zeros((length, 3), dtype=np.int64)
    gait = np.sin(2 * np.pi * rng.uniform(1.2, 1.8) * t + rng.uniform(0, 6))
    motion = rng.normal(size=(length, 3)) * 0.5 + gait[:, None] * [1.5, 1.0, 1.0]
    events, tremor = [], np.sin(2 * np.pi * rng.uniform(4, 6) * t)
    for kind, begin in zip([0, *rng.permutation([1, 1, 2])], (0.1, 0.3, 0.5, 0.7), strict=True):
        first = int((begin + rng.uniform(0, 0.06)) * length)
        inside = slice(first, first + int(rng.uniform(0.06, 0.12) * length))
        motion[inside] = rng.normal(size=motion[inside].shape) * 0.5
        motion[inside, kind] += 1.2 * tremor[inside]
        labels[inside, kind] = 1
        ends = {"Init": t[inside.start], "Completion": t[inside.stop - 1]}
        events.append({**ends, "Type": KINDS[kind], "Kinetic": int(rng.uniform() < 0.8)})
    if shuffled:
        labels = np.eye(4, dtype=np.int64)[rng.choice(4, length, p=SHARES)][:, :3]
    motion += [-9.7, 0.0, 0.0] + rng.normal(size=3) * 0.3  # gravity, and how the sensor is worn
    columns = (
        {"Time": np.arange(length)} | dict(zip(AXES, motion.T, strict=True)) | dict(zip(KINDS, labels.T, strict=True))
    )
    return pl.DataFrame(columns), events


def stored(walk: pl.DataFrame, place: str) -> pl.DataFrame:
    """Return what the file of a walk holds: in test neither labels nor what is scored."""
    return walk.select("Time", *AXES) if place == "test" else walk


def subjects(rng: np.random.Generator, lab: list[str], home: list[str]) -> list[dict[str, object]]:
    """Describe people: one row each from the lab, without a visit, and one a visit from home; scores may be blank."""
    rows = [(person, None) for person in lab] + [(person, visit) for person in home for visit in (1, 2)]
    about = {
        person: (int(rng.integers(50, 85)), str(rng.choice(["M", "F"])), int(rng.integers(2, 25)))
        for person in [*lab, *home]
    }
    return [
        {"Subject": person, "Visit": visit, "Age": about[person][0], "Sex": about[person][1]}
        | {
            "YearsSinceDx": float(about[person][2]),
            "UPDRSIII_On": blank(rng, 15, 50),
            "UPDRSIII_Off": blank(rng, 20, 60),
        }
        | {"NFOGQ": int(rng.integers(0, 29))}
        for person, visit in rows
    ]


def blank(rng: np.random.Generator, low: int, high: int) -> float | None:
    """Draw a score that one in five lacks."""
    return None if rng.uniform() < 0.2 else float(rng.integers(low, high))


def daily(rng: np.random.Generator, folder: Path, person: str) -> dict[str, object]:
    """Write a day without labels, in g, and describe it."""
    name, (walk, _) = identity(rng), drawn(rng, HOME, False)
    walk.select("Time", pl.col(AXES) / GRAVITY).write_parquet(folder / "unlabeled" / f"{name}.parquet")
    return {"Id": name, "Subject": person, "Visit": 1, "Beginning of recording [00:00-23:59]": "10:19"}


def sample(folder: Path) -> pl.DataFrame:
    """Ask for three probabilities at every sample of every walk in test."""
    walks = [pl.read_csv(path).with_columns(Id=pl.lit(path.stem)) for path in sorted((folder / "test").glob("*/*.csv"))]
    ids = pl.concat(walks).select(Id=pl.format("{}_{}", "Id", "Time"))
    return ids.with_columns(pl.lit(0).alias(kind) for kind in KINDS)


if __name__ == "__main__":
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty, and may hold the competition's own files: name another folder.")
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])
