"""Writes a small Jane Street into a folder: `python configs/gallery/jane-street/generate.py FOLDER [--shuffled]`

The competition's files, names, types and traps (layout.md), with made-up markets. Where feature_36 is above 0,
responder_6 follows feature_06, by more on some days than on others: half of that is a product, which no line finds.
`--shuffled` deals the responders out again at random, whole rows of them, so that there is nothing to learn.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

DAYS, TIMES, PARTITIONS = 60, 20, 10
SYMBOLS, LATE, NEW = 10, 3, 2  # in train, of which some begin later; others that only test has
FEATURES = [f"feature_{number:02}" for number in range(79)]
RESPONDERS = [f"responder_{number}" for number in range(9)]
LATER = [0, 1, 2, 3, 4, 21, 26, 27, 31]  # features that the first days lack
GAPS = {39: 0.15, 42: 0.15, 50: 0.1, 53: 0.1, 15: 0.03, 17: 0.01, 32: 0.01, 33: 0.01}  # shares that others lack
CODES = {  # of the features that are categories, one a symbol
    9: ([2, 4, 9, 11, 12, 14, 15, 25, 26, 30, 34, 42, 44, 46, 49], pl.Int8),
    10: ([1, 2, 3, 4, 5, 6, 7, 10, 12], pl.Int8),
    11: ([9, 11, 13, 16, 24, 25, 34, 40, 50, 59, 76, 150, 158, 171], pl.Int16),
}
LOADS = [0.2, 0.1, 0.1, 0.5, 0.3, 0.2, 1.0, 0.4, 0.3]  # of what a responder has of the signal
TAGS = {"features": 17, "responders": 5}


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write train, test and lags, partitioned, sample_submission.csv and the tables about features and responders."""
    rng = np.random.default_rng(seed)
    market = codes(rng)
    rows = [(day, time, symbol) for day in range(DAYS) for time in range(TIMES) for symbol in there(rng, day)]
    train = table(rng, np.array(rows), market)
    signal = responders(rng, train)
    if shuffled:
        signal = signal[rng.permutation(len(signal))]
    train = train.with_columns(pl.Series(name, signal[:, n]) for n, name in enumerate(RESPONDERS))
    for number, days in enumerate(np.array_split(np.arange(DAYS), PARTITIONS)):
        part = train.filter(pl.col("date_id").is_between(int(days[0]), int(days[-1])))
        store(part, folder / "train.parquet" / f"partition_id={number}")
    asked = np.array([(0, 0, symbol) for symbol in range(SYMBOLS + NEW)])  # one batch: a time of a day, counted anew
    test = table(rng, asked, market, early=0).with_row_index("row_id").cast({"row_id": pl.Int64})
    scored = test.insert_column(5, pl.Series("is_scored", np.ones(len(test), dtype=bool)))
    store(scored, folder / "test.parquet" / "date_id=0")
    store(lags(train, test), folder / "lags.parquet" / "date_id=0")
    test.select("row_id", responder_6=pl.lit(0.0)).write_csv(folder / "sample_submission.csv")
    for name, tags in TAGS.items():
        about = {name[:-1]: FEATURES if name == "features" else RESPONDERS}
        marks = rng.uniform(size=(tags, len(about[name[:-1]]))) < 0.3
        pl.DataFrame(about | {f"tag_{n}": mark for n, mark in enumerate(marks)}).write_csv(folder / f"{name}.csv")


def there(rng: np.random.Generator, day: int) -> list[int]:
    """Draw which symbols have rows at a time: some begin late, each is absent now and then."""
    known = SYMBOLS - LATE if day < DAYS // 3 else SYMBOLS
    return np.flatnonzero(rng.uniform(size=known) < 0.97).tolist()


def codes(rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Draw the categories of each symbol, of new ones too."""
    return {number: rng.choice(levels, SYMBOLS + NEW) for number, (levels, _) in CODES.items()}


def table(rng: np.random.Generator, rows: np.ndarray, market: dict[int, np.ndarray], early: int = 15) -> pl.DataFrame:
    """Draw weights and features. rows: (R, 3) day, time, symbol. early: how many first days lack some features."""
    day, time, symbol = rows.T
    level = rng.normal(size=(DAYS * (SYMBOLS + NEW), len(FEATURES)))[day * (SYMBOLS + NEW) + symbol]
    values = 0.6 * level + 0.8 * rng.normal(size=level.shape)
    values[:, 61] = 0.1 * time - 1  # one of them is the clock
    values[:, LATER] = np.where((day < early)[:, None], np.nan, values[:, LATER])
    for number, share in GAPS.items():
        values[rng.uniform(size=len(rows)) < share, number] = np.nan
    ids = {"date_id": day, "time_id": time, "symbol_id": symbol, "weight": rng.lognormal(0.6, 0.5, len(rows))}
    frame = pl.DataFrame(ids | dict(zip(FEATURES, values.T, strict=True)))
    frame = frame.cast({pl.Float64: pl.Float32, "date_id": pl.Int16, "time_id": pl.Int16, "symbol_id": pl.Int8})
    of_symbol = (pl.Series(FEATURES[n], market[n][symbol]).cast(kind) for n, (_, kind) in CODES.items())
    return frame.with_columns(of_symbol).fill_nan(None)


def responders(rng: np.random.Generator, train: pl.DataFrame) -> np.ndarray:
    """Draw all responders, (R, 9), clipped to 5: what there is to learn, what all symbols share, and noise."""
    day, time, first, switch = (
        train[name].to_numpy().astype(np.float64) for name in ("date_id", "time_id", "feature_06", "feature_36")
    )
    strength = 1 + 0.4 * np.sin(day / 7) + 0.2 * rng.normal(size=DAYS)[day.astype(int)]
    signal = strength * first * (switch > 0)
    shared = 0.3 * rng.normal(size=(DAYS * TIMES, 1))[(day * TIMES + time).astype(int)]
    noise = shared + rng.standard_t(5, (len(train), len(RESPONDERS)))
    return np.clip(0.7 * signal[:, None] * LOADS + 0.7 * noise, -5, 5).astype(np.float32)


def lags(train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """Lay out the last day's responders as the first batch gets them, missing where a symbol is new."""
    last = train.filter(pl.col("date_id") == DAYS - 1).unique("symbol_id", keep="last", maintain_order=True)
    named = last.select("symbol_id", pl.col(RESPONDERS).name.suffix("_lag_1"))
    keys = test.select("date_id", "time_id", "symbol_id")
    return keys.join(named, on="symbol_id", how="inner", maintain_order="left")


def store(part: pl.DataFrame, folder: Path) -> None:
    """Write one part of a partitioned table."""
    folder.mkdir(parents=True, exist_ok=True)
    part.write_parquet(folder / "part-0.parquet")


if __name__ == "__main__":
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty, and may hold the competition's own files: name another folder.")
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])
