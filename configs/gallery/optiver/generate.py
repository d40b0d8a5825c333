"""Writes a small Optiver into a folder: `python configs/gallery/optiver/generate.py FOLDER [--shuffled]`

The competition's files, names, types and traps (layout.md), with made-up prices: random walks of a volatility that a
stock and a time have in common, rounded to ticks, of which the book shows the seconds at which something changed. How
far prices are spread out says less of that volatility than the sum of their squared changes. `--shuffled` deals the
targets out again at random, so that there is nothing to learn.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

STOCKS, TRAIN_TIMES, TEST_TIMES = (0, 1, 3, 7, 13, 31, 64, 126), 40, 8
SECONDS = 600
ABSENT, NO_TRADES = 0.03, 0.02  # share of stocks that a time lacks; of buckets without any trade
TICK = 0.01  # dollars
TYPES = {"time_id": pl.Int16, "seconds_in_bucket": pl.Int16}
BOOK = [f"{side}_{what}{level}" for what in ("price", "size") for level in (1, 2) for side in ("bid", "ask")]


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write book and trades of train and test, a folder a stock, and train.csv, test.csv and sample_submission.csv."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    times = rng.choice(np.arange(4, 32_768), TRAIN_TIMES + TEST_TIMES, replace=False)  # in no order of time
    market = 0.4 * rng.normal(size=len(times))
    level = np.log(0.003) + 0.5 * rng.normal(size=len(STOCKS))
    parts = {"train": np.sort(times[:TRAIN_TIMES]), "test": np.sort(times[TRAIN_TIMES:])}
    of_time = dict(zip(times.tolist(), market, strict=True))
    for part, ids in parts.items():
        rows = []
        for number, stock in enumerate(STOCKS):
            there = [int(each) for each in ids if rng.uniform() >= ABSENT]
            drawn = [bucket(rng, level[number] + of_time[each] + 0.2 * rng.normal(), each) for each in there]
            shown = drawn[:-1] if part == "test" else drawn  # of the test that Kaggle shows not all is there
            store(rng, folder / f"book_{part}.parquet", stock, [book for book, _, _ in shown])
            store(rng, folder / f"trade_{part}.parquet", stock, [trades for _, trades, _ in shown])
            rows += [(stock, each, target) for each, (_, _, target) in zip(there, drawn, strict=True)]
        table = pl.DataFrame(rows, schema=["stock_id", "time_id", "target"], orient="row")
        if part == "train":
            dealt = rng.permutation(table["target"].to_numpy()) if shuffled else table["target"]
            table.with_columns(target=dealt).write_csv(folder / "train.csv")
            median = float(table["target"].median() or 0)
            continue
        asked = table.select("stock_id", "time_id", row_id=pl.format("{}-{}", "stock_id", "time_id"))
        asked.write_csv(folder / "test.csv")
        asked.select("row_id", target=pl.lit(median)).write_csv(folder / "sample_submission.csv")


def bucket(rng: np.random.Generator, log_volatility: float, time: int) -> tuple[pl.DataFrame, pl.DataFrame, float]:
    """Draw ten minutes of a stock: its book, its trades, and the volatility that was realised in the ten after them."""
    target = np.exp(log_volatility + 0.1 * rng.normal())
    dollars = rng.uniform(40, 400)
    changes = np.exp(log_volatility) * rng.standard_t(5, SECONDS) / np.sqrt(SECONDS * 5 / 3)
    price = dollars * np.exp(np.cumsum(changes))
    moving = rng.uniform(size=SECONDS) < rng.uniform(0.08, 0.25)
    moving[0] = True  # a book begins at second 0
    seconds = np.flatnonzero(moving)
    bid1 = np.floor(price[seconds] / TICK - rng.integers(0, 2, len(seconds)))
    ask1 = bid1 + rng.integers(1, 4, len(seconds))
    prices = [bid1, ask1, bid1 - rng.integers(1, 3, len(seconds)), ask1 + rng.integers(1, 3, len(seconds))]
    sizes = rng.geometric(0.01, (4, len(seconds)))
    wap = float((bid1[0] * sizes[1, 0] + ask1[0] * sizes[0, 0]) / (sizes[0, 0] + sizes[1, 0]))
    values = [each / wap for each in prices], list(sizes)
    book = dict(zip(BOOK, [*values[0], *values[1]], strict=True))
    return table(time, seconds, book), trades(rng, time, seconds, bid1 / wap, ask1 / wap), float(target)


def trades(rng: np.random.Generator, time: int, book: np.ndarray, bid: np.ndarray, ask: np.ndarray) -> pl.DataFrame:
    """Draw trades at bid, ask or between, more seldom than the book changes; some fall between its seconds."""
    some = rng.uniform(size=len(book)) < rng.uniform(0.05, 0.5) if rng.uniform() >= NO_TRADES else np.zeros(len(book))
    places = np.flatnonzero(some)
    seconds = np.unique(np.minimum(book[places] + (rng.uniform(size=len(places)) < 0.1), SECONDS - 1))
    places = np.searchsorted(book, seconds, side="right") - 1
    price = bid[places] + (ask - bid)[places] * rng.choice([0, 0.3, 1], len(places))
    orders = rng.geometric(0.4, len(places))
    return table(
        time, seconds, {"price": price, "size": orders * rng.geometric(0.02, len(places)), "order_count": orders}
    )


def table(time: int, seconds: np.ndarray, columns: dict[str, np.ndarray]) -> pl.DataFrame:
    """Lay out rows of a bucket, in the types of the competition."""
    kinds = {name: pl.Float32 if "price" in name else pl.Int32 for name in columns} | {"order_count": pl.Int16}
    frame = pl.DataFrame({"time_id": np.full(len(seconds), time), "seconds_in_bucket": seconds, **columns})
    return frame.cast({name: kind for name, kind in (TYPES | kinds).items() if name in frame.columns})


def store(rng: np.random.Generator, folder: Path, stock: int, buckets: list[pl.DataFrame]) -> None:
    """Write the buckets of a stock as its part of a partitioned table."""
    path = folder / f"stock_id={stock}"
    path.mkdir(parents=True, exist_ok=True)
    pl.concat(buckets).write_parquet(path / f"{rng.bytes(16).hex()}.parquet")


if __name__ == "__main__":
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty, and may hold the competition's own files: name another folder.")
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])
