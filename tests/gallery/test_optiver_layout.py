"""Optiver's files against the published rules: what the host's data page says of partitions, columns and ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers.gallery_files import changed

pytestmark = pytest.mark.gallery

SECOND = {"time_id": pl.Int16, "seconds_in_bucket": pl.Int16}
PRICES = ["bid_price1", "ask_price1", "bid_price2", "ask_price2"]
SIZES = ["bid_size1", "ask_size1", "bid_size2", "ask_size2"]
TABLES = {
    "book": SECOND | dict.fromkeys(PRICES, pl.Float32) | dict.fromkeys(SIZES, pl.Int32),
    "trade": SECOND | {"price": pl.Float32, "size": pl.Int32, "order_count": pl.Int16},
}
BUCKET = ["stock_id", "time_id"]


def check(folder: Path) -> None:
    """Refuse files that the competition would not have."""
    train, test = pl.read_csv(folder / "train.csv"), pl.read_csv(folder / "test.csv")
    assert train.columns == [*BUCKET, "target"] and train["target"].min() > 0  # type: ignore[operator]
    assert test.columns == [*BUCKET, "row_id"]
    assert test["row_id"].to_list() == [f"{stock}-{time}" for stock, time in test.select(BUCKET).rows()]
    assert not set(train["time_id"]) & set(test["time_id"]), "test has times of its own"
    for part, asked in (("train", train), ("test", test)):
        assert asked.select(BUCKET).is_unique().all() and asked.select(BUCKET).equals(asked.select(BUCKET).sort(BUCKET))
        book, trades = (partitions(folder / f"{name}_{part}.parquet", kinds) for name, kinds in TABLES.items())
        books, wanted = set(book.select(BUCKET).rows()), set(asked.select(BUCKET).rows())
        assert books == wanted if part == "train" else books < wanted, (
            "a bucket has a book; not all of test's are shown"
        )
        assert set(trades.select(BUCKET).rows()) <= set(asked.select(BUCKET).rows())
        assert (book.group_by(BUCKET).agg(pl.col("seconds_in_bucket").min())["seconds_in_bucket"] == 0).all()
        sides = pl.col("bid_price2") < pl.col("bid_price1"), pl.col("ask_price1") < pl.col("ask_price2")
        assert book.select(pl.all_horizontal(*sides, pl.col("bid_price1") < pl.col("ask_price1")).all()).item()
        assert book.select(pl.min_horizontal(*PRICES).min()).item() > 0.5
        assert book.select(pl.max_horizontal(*PRICES).max()).item() < 2, "prices are normalised"
        assert book.select(pl.min_horizontal(SIZES).min()).item() >= 1
        assert trades.select(
            (pl.col("size") >= pl.col("order_count")).all() & (pl.col("order_count") >= 1).all()
        ).item()
    sample = pl.read_csv(folder / "sample_submission.csv")
    assert sample.columns == ["row_id", "target"] and sample["row_id"].to_list() == test["row_id"].to_list()
    assert np.allclose(sample["target"], train["target"].median()), "the sample has the median"


def partitions(folder: Path, kinds: dict[str, type[pl.DataType]]) -> pl.DataFrame:
    """Read and check the parts of a table: folders called stock_id=N, whose files do not have that column."""
    frames = []
    for path in sorted(folder.glob("*/*.parquet")):
        name, _, stock = path.parent.name.partition("=")
        frame = pl.read_parquet(path, hive_partitioning=False)
        assert name == "stock_id" and list(frame.schema.items()) == list(kinds.items())
        assert frame.null_count().sum_horizontal()[0] == 0
        inside = frame.group_by("time_id", maintain_order=True).agg("seconds_in_bucket")["seconds_in_bucket"]
        assert all(sorted(set(seconds)) == seconds and seconds[-1] < 600 for seconds in inside.to_list())
        frames.append(frame.with_columns(stock_id=pl.lit(int(stock))))
    return pl.concat(frames)


def test_the_files_are_those_of_the_competition(files: Path) -> None:
    check(files)


def test_it_has_the_traps(folder: Path) -> None:
    train = pl.read_csv(folder / "train.csv")
    assert len(train) < train["stock_id"].n_unique() * train["time_id"].n_unique(), "stocks that a time lacks"
    book, trades = (partitions(folder / f"{name}_train.parquet", kinds) for name, kinds in TABLES.items())
    assert len(book) < 300 * len(train), "seconds without a row"
    first = trades.group_by(BUCKET).agg(pl.col("seconds_in_bucket").min())
    assert len(first) < len(train), "buckets without a trade"
    assert first["seconds_in_bucket"].max() > 60, "trades that start late"  # type: ignore[operator]
    outside = trades.join(book, on=[*BUCKET, "seconds_in_bucket"], how="anti")
    assert 0 < len(outside) < len(trades) / 2, "trades between the book's seconds"


def test_prices_tell_their_tick(folder: Path) -> None:
    book = partitions(folder / "book_train.parquet", TABLES["book"])
    for _, rows in book.head(2000).group_by(BUCKET):
        apart = np.diff(np.unique(rows.select(PRICES).to_numpy().astype(np.float64)))
        tick = apart[apart > 1e-5].min()
        few = apart[apart < 5.5 * tick] / tick
        assert np.allclose(few, np.round(few), atol=0.1)


def test_the_checker_finds_what_is_wrong(folder: Path) -> None:
    book, trades = (next((folder / f"{name}_train.parquet").glob("*/*.parquet")) for name in ("book", "trade"))
    for path, change in (
        (book, pl.col("seconds_in_bucket") + 1),
        (book, pl.col("bid_price1").alias("ask_price1")),
        (book, pl.col("bid_size1").cast(pl.Int64)),
        (trades, pl.col("time_id") * 0 + 3),
        (trades, pl.lit(0).alias("stock_id")),
        (folder / "train.csv", pl.col("time_id") + 1),
        (folder / "test.csv", pl.col("row_id").str.replace("-", "_")),
        (folder / "sample_submission.csv", pl.col("target") * 2),
    ):
        with changed(path, change), pytest.raises(AssertionError):
            check(folder)
