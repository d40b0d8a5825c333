"""Writes a small Child Mind PIU into a folder: `python configs/gallery/piu/generate.py FOLDER [--shuffled]`

The competition's files, names, types and traps (layout.md), with made-up children. Hours at a computer do harm with
age, and the more so the worse a child sleeps: products, which no line finds; of who has a series nights tell, too.
`--shuffled` deals the answers out again at random, so that there is nothing to learn.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

SEASONS = np.array(["Spring", "Summer", "Fall", "Winter"])
# Instrument -> share of children without it, and its numbers: mean, deviation, digits.
FITNESS = ["FGC_CU", "FGC_GSND", "FGC_GSD", "FGC_PU", "FGC_SRL", "FGC_SRR", "FGC_TL"]
INSTRUMENTS: dict[str, tuple[float, dict[str, tuple[float, float, int]]]] = {
    "CGAS": (0.39, {"CGAS_Score": (65, 12, 0)}),
    "Physical": (
        0.2,
        {"BMI": (19.3, 5, 2), "Height": (56, 7, 1), "Weight": (89, 44, 1), "Waist_Circumference": (27, 5, 0)}
        | {"Diastolic_BP": (70, 13, 0), "HeartRate": (81, 13, 0), "Systolic_BP": (117, 17, 0)},
    ),
    "Fitness_Endurance": (0.7, {"Max_Stage": (5, 2, 0), "Time_Mins": (7, 3, 0), "Time_Sec": (28, 17, 0)}),
    "FGC": (
        0.42,
        {name + zone: (1.5, 0.7, 0) if zone else (11.0, 7.0, 0) for name in FITNESS for zone in ("", "_Zone")},
    ),
    "BIA": (
        0.5,
        {"BIA_Activity_Level_num": (3, 1, 0), "BIA_BMC": (4, 2, 5), "BIA_BMI": (19.4, 4, 4), "BIA_BMR": (1237, 300, 2)}
        | {"BIA_DEE": (2064, 700, 2), "BIA_ECW": (21, 9, 4), "BIA_FFM": (74, 30, 4), "BIA_FFMI": (15, 3, 4)}
        | {"BIA_FMI": (4.3, 3, 5), "BIA_Fat": (17, 20, 4), "BIA_Frame_num": (1.8, 0.7, 0), "BIA_ICW": (33, 12, 4)}
        | {"BIA_LDM": (20, 9, 4), "BIA_LST": (67, 25, 4), "BIA_SMM": (34, 17, 4), "BIA_TBW": (54, 21, 4)},
    ),
    "PAQ_A": (0.88, {"PAQ_A_Total": (2.2, 0.8, 2)}),
    "PAQ_C": (0.56, {"PAQ_C_Total": (2.6, 0.8, 2)}),
    "PCIAT": (0.31, {}),
    "SDS": (0.1, {"SDS_Total_Raw": (41, 10, 0), "SDS_Total_T": (58, 13, 0)}),
    "PreInt_EduHx": (0.05, {"computerinternet_hoursday": (1.3, 1.2, 0)}),
}
AGE, SLEEP, ONLINE = "Basic_Demos-Age", "SDS-SDS_Total_T", "PreInt_EduHx-computerinternet_hoursday"
ITEMS = [f"PCIAT-PCIAT_{n:02}" for n in range(1, 21)]
TRAIN_ONLY = ["PCIAT-Season", *ITEMS, "PCIAT-PCIAT_Total", "sii"]
CHILDREN, SHOWN, WORN = 420, 20, 0.15  # of train; the first of them are test; share with a series
STEP, HOURS = 5, (6, 14)  # s between rows, length of a series


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write train.csv, test.csv, sample_submission.csv, data_dictionary.csv and the two folders of series."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(f"{n:08x}" for n in rng.choice(16**8, CHILDREN, replace=False))
    about, restless, worn = children(rng), rng.uniform(size=CHILDREN), rng.uniform(size=CHILDREN) < WORN
    worn[SHOWN // 2] = True
    total = totals(rng, about, np.where(worn, restless, 0.5))
    columns = with_answers(rng, about, rng.permutation(total) if shuffled else total)
    plain = {name: values.tolist() if values.dtype == object else values for name, values in columns.items()}
    train = pl.DataFrame({"id": names} | plain).with_columns(pl.col(pl.Float64).fill_nan(None))
    train.write_csv(folder / "train.csv")
    test = train.drop(TRAIN_ONLY).head(SHOWN)
    test.write_csv(folder / "test.csv")
    test.select("id", sii=pl.lit(0)).write_csv(folder / "sample_submission.csv")
    described = [{"Instrument": name.split("-")[0], "Field": name, "Type": str(train[name].dtype)} for name in columns]
    pl.DataFrame(described).write_csv(folder / "data_dictionary.csv")
    for place in np.flatnonzero(worn):
        rows = actigraphy(rng, float(restless[place]))
        for part in ("train", "test") if place < SHOWN else ("train",):
            path = folder / f"series_{part}.parquet" / f"id={names[place]}" / "part-0.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows.write_parquet(path)


def children(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw what is asked and measured: column -> (children,) in the files' order; whole instruments are blank."""
    found = {"Basic_Demos-Enroll_Season": rng.choice(SEASONS, CHILDREN)}
    found |= {AGE: rng.integers(5, 23, CHILDREN), "Basic_Demos-Sex": rng.integers(0, 2, CHILDREN)}
    for instrument, (absent, numbers) in INSTRUMENTS.items():
        gone = rng.uniform(size=CHILDREN) < absent
        seasons = rng.choice(SEASONS, CHILDREN).astype(object)
        seasons[gone] = None
        found[f"{instrument}-Season"] = seasons
        for name, (mean, deviation, digits) in numbers.items():
            values = np.clip(np.round(rng.normal(size=CHILDREN) * deviation + mean, digits), 0, None)
            values[gone | (rng.uniform(size=CHILDREN) < 0.04)] = np.nan
            found[f"{instrument}-{name}"] = values
    found[ONLINE] = np.minimum(found[ONLINE], 3)
    return found


def totals(rng: np.random.Generator, about: dict[str, np.ndarray], restless: np.ndarray) -> np.ndarray:
    """Draw the sums of the parents' 20 answers, (children,), 0 to 93."""
    online, sleep = np.nan_to_num(about[ONLINE], nan=1), np.nan_to_num(about[SLEEP], nan=58)
    harm = online * np.clip((about[AGE] - 6) / 6, 0, 2) * np.clip((sleep - 38) / 20, 0.2, 2.2)
    total = 17 + 9 * harm + 30 * (restless - 0.5) + rng.normal(size=CHILDREN) * 3
    return np.clip(np.round(total), 0, 93)


def with_answers(rng: np.random.Generator, about: dict[str, np.ndarray], total: np.ndarray) -> dict[str, np.ndarray]:
    """Put 20 answers and their total behind the season of PCIAT, and sii behind all; blank without a season."""
    unknown = np.array([season is None for season in about["PCIAT-Season"]])
    places = rng.permuted(np.tile(np.arange(20), (CHILDREN, 1)), axis=1)
    items = (total[:, None] + places) // 20  # they sum to the total, whatever the order
    given = dict(zip([*ITEMS, "PCIAT-PCIAT_Total"], [*items.T, total], strict=True))
    given = {name: np.where(unknown, np.nan, values) for name, values in given.items()}
    found = {}
    for name, values in about.items():
        found |= {name: values} | (given if name == "PCIAT-Season" else {})
    sii = np.searchsorted([31, 50, 80], total, side="right").astype(float)
    return found | {"sii": np.where(unknown, np.nan, sii)}


def actigraphy(rng: np.random.Generator, restless: float) -> pl.DataFrame:
    """Draw a wrist's series from some hour on, with a gap where nothing was recorded; at night little should move."""
    count = int(rng.integers(HOURS[0] * 3600, HOURS[1] * 3600) / STEP)
    second = np.arange(count) * STEP + int(rng.integers(15 * 3600, 20 * 3600))
    second[count // 3 :] += int(rng.integers(1, 4)) * 600
    hour = second / 3600 % 24
    awake = (hour > 7) & (hour < 22)
    strength = np.where(awake, 0.06, 0.003 + 0.05 * restless)
    axes = rng.normal(size=(count, 3)) * strength[:, None] + np.array([0.2, 0.1, -0.95])
    enmo = rng.exponential(strength)
    flat = (rng.uniform(size=count // 360 + 1) < 0.05).repeat(360)[:count]
    weekday = (int(rng.integers(1, 8)) + second // 86400 - 1) % 7 + 1
    columns = {"step": pl.Series(np.arange(count), dtype=pl.UInt32)}
    columns |= {name: pl.Series(axes[:, n], dtype=pl.Float32) for n, name in enumerate("XYZ")}
    numbers = {"enmo": enmo, "anglez": np.degrees(np.arctan2(axes[:, 2], np.hypot(axes[:, 0], axes[:, 1])))}
    numbers |= {"non-wear_flag": flat, "light": np.where(awake, 200.0, 5.0) * rng.exponential(size=count)}
    numbers |= {"battery_voltage": 4190 - second / 1000}
    columns |= {name: pl.Series(values, dtype=pl.Float32) for name, values in numbers.items()}
    columns |= {"time_of_day": pl.Series(second % 86400 * 10**9, dtype=pl.Int64)}  # ns
    columns |= {"weekday": pl.Series(weekday, dtype=pl.Int8), "quarter": pl.Series([3] * count, dtype=pl.Int8)}
    return pl.DataFrame(columns | {"relative_date_PCIAT": pl.Series(9 + second // 86400, dtype=pl.Float32)})


if __name__ == "__main__":
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty, and may hold the competition's own files: name another folder.")
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])
