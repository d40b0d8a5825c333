"""Writes a small M5 into a folder: `python configs/gallery/m5/generate.py FOLDER [--shuffled]`

The competition's files of its first stage, names, types and traps (layout.md), with made-up items. What is sold follows
the item, the store, the day of the week, food stamps (for food), and the price against its usual one: nothing of the
last two can be seen in the past. `--shuffled` deals the days of all items out again at random, so that there is nothing
to learn.
"""

import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

FIRST, TRAINED, DAYS, ASKED = date(2011, 1, 29), 1913, 1969, 28
STORES, DEPARTMENTS = (
    ["CA_1", "CA_3", "TX_2", "WI_1"],
    ["HOBBIES_1", "HOUSEHOLD_1", "HOUSEHOLD_2", "FOODS_1", "FOODS_3"],
)
ITEMS, LATE = 2, 0.3  # of each department; share that is not sold from the first day on
SNAP = {"CA": range(1, 11), "TX": [1, 3, 5, 6, 7, 9, 11, 12, 13, 15], "WI": [2, 3, 5, 6, 8, 9, 11, 12, 14, 15]}
EVENTS = {  # month and day -> name and type
    (1, 1): ("NewYear", "National"), (2, 14): ("ValentinesDay", "Cultural"), (3, 17): ("StPatricksDay", "Cultural"),
    (7, 4): ("IndependenceDay", "National"), (10, 31): ("Halloween", "Cultural"), (12, 25): ("Christmas", "National"),
    (11, 11): ("VeteransDay", "National"), (1, 7): ("OrthodoxChristmas", "Religious"),
}  # fmt: skip
WEEK = np.array([1.5, 1.4, 0.9, 0.7, 0.7, 0.8, 1.2])  # of Saturday to Friday
CHEAP, GAIN = 0.25, 1.8  # share of weeks with a lower price; how much more is sold then


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write calendar.csv, sell_prices.csv, sales_train_validation.csv and sample_submission.csv."""
    rng, folder_days = np.random.default_rng(seed), calendar()
    names = [(f"{dept}_{n:03}", dept, dept.split("_")[0], store, store[:2]) for dept in DEPARTMENTS
             for n in rng.choice(400, ITEMS, replace=False) + 1 for store in STORES]  # fmt: skip
    names.sort(key=lambda name: (STORES.index(name[3]), DEPARTMENTS.index(name[1]), name[0]))
    drawn = [item(rng, folder_days, name) for name in names]
    sales = np.stack([sold for sold, _ in drawn])
    if shuffled:
        there = np.stack([first <= np.arange(DAYS) for _, (first, _) in drawn])
        sales[there] = rng.permutation(sales[there])
    columns = dict(zip(("item_id", "dept_id", "cat_id", "store_id", "state_id"), zip(*names, strict=True), strict=True))
    series = [f"{name[0]}_{name[3]}" for name in names]
    wide = pl.DataFrame({"id": [f"{each}_validation" for each in series], **columns})
    wide = wide.with_columns(pl.Series(f"d_{day + 1}", sales[:, day]) for day in range(TRAINED))
    folder.mkdir(parents=True, exist_ok=True)
    folder_days.write_csv(folder / "calendar.csv")
    prices(folder_days, names, [price for _, price in drawn]).write_csv(folder / "sell_prices.csv")
    wide.write_csv(folder / "sales_train_validation.csv")
    ids = [f"{each}_{part}" for part in ("validation", "evaluation") for each in series]
    sample = pl.DataFrame({"id": ids}).with_columns(pl.lit(0).alias(f"F{day}") for day in range(1, ASKED + 1))
    sample.write_csv(folder / "sample_submission.csv")


def calendar() -> pl.DataFrame:
    """Make the days, weeks from Saturday to Friday, with events and food stamps of three states."""
    days = [FIRST + timedelta(number) for number in range(DAYS)]
    weeks = [11000 + 100 * year + week for year in range(1, 7) for week in range(1, 54 if year == 3 else 53)]
    events = [EVENTS.get((day.month, day.day), (None, None)) for day in days]
    columns = {
        "date": [str(day) for day in days],
        "wm_yr_wk": [weeks[number // 7] for number in range(DAYS)],
        "weekday": [day.strftime("%A") for day in days],
        "wday": [number % 7 + 1 for number in range(DAYS)],
        "month": [day.month for day in days],
        "year": [day.year for day in days],
        "d": [f"d_{number + 1}" for number in range(DAYS)],
        "event_name_1": [name for name, _ in events],
        "event_type_1": [kind for _, kind in events],
        "event_name_2": pl.Series([None] * DAYS, dtype=pl.String),
        "event_type_2": pl.Series([None] * DAYS, dtype=pl.String),
    }
    return pl.DataFrame(columns | {f"snap_{state}": [int(day.day in SNAP[state]) for day in days] for state in SNAP})


def item(
    rng: np.random.Generator, days: pl.DataFrame, name: tuple[str, ...]
) -> tuple[np.ndarray, tuple[int, np.ndarray]]:
    """Draw the sales of each day, (DAYS,), the first day on which an item is sold, and its price of each week."""
    weeks = (DAYS + 6) // 7
    first = 7 * int(rng.integers(20, 200)) if rng.uniform() < LATE else 0
    usual, cheap = float(rng.lognormal(1.2, 0.6)), rng.uniform(size=weeks) < CHEAP
    price = np.round(usual * np.where(cheap, 0.8, 1.0), 2)
    rate = rng.lognormal(0.8, 0.9) * WEEK[np.arange(DAYS) % 7] * np.where(cheap, GAIN, 1.0).repeat(7)[:DAYS]
    if name[2] == "FOODS":
        rate = rate * np.where(days[f"snap_{name[4]}"].to_numpy() == 1, 1.7, 1.0)
    rate *= np.exp(np.cumsum(rng.normal(0, 0.01, DAYS)) * 0.3)
    rate[(days["event_name_1"] == "Christmas").fill_null(False).to_numpy()] = 0.0  # the stores are closed
    sold = rng.poisson(rng.gamma(8, rate / 8))
    return np.where(np.arange(DAYS) >= first, sold, 0), (first, price)


def prices(days: pl.DataFrame, names: list[tuple[str, ...]], drawn: list[tuple[int, np.ndarray]]) -> pl.DataFrame:
    """Lay out prices: a row a store, item and week, from the week on in which it is sold."""
    weeks, parts = days["wm_yr_wk"].unique(maintain_order=True), []
    for name, (first, price) in zip(names, drawn, strict=True):
        kept = slice(first // 7, None)
        columns = {"wm_yr_wk": weeks.to_numpy()[kept], "sell_price": price[kept]}
        parts.append(
            pl.DataFrame(columns).select(pl.lit(name[3]).alias("store_id"), pl.lit(name[0]).alias("item_id"), pl.all())
        )
    return pl.concat(parts)


if __name__ == "__main__":
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty, and may hold the competition's own files: name another folder.")
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])
