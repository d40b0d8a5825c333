"""Optiver 2021: book and trades of a bucket are two tables, which become one series."""

from pathlib import Path

import polars as pl

from foldline.data.reshape import scan
from foldline.features import Columns
from foldline.features.family import STEP, at_end, cumulated, number, shifted

BUCKET, SECOND = ["stock_id", "time_id"], "seconds_in_bucket"


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Make one row a second in which the book changed or somebody traded; until it changes the book stays as it is."""
    found = {}
    for part in ("train", "test"):
        book, trades = (scan(folder / f"{name}_{part}.parquet") for name in ("book", "trade"))
        both = book.join(trades, on=[*BUCKET, SECOND], how="full", coalesce=True).sort(*BUCKET, SECOND)
        both = both.with_columns(pl.col("^(bid|ask)_.*$").forward_fill().over(BUCKET))
        asked = scan(folder / f"{part}.csv").with_columns(row_id=pl.format("{}-{}", *BUCKET))
        rows = asked.join(both, on=BUCKET, how="left", maintain_order="left_right")  # an empty one if there is no book
        found[part] = rows.with_columns(pl.col(SECOND).fill_null(0))
    return found


def features(columns: Columns) -> list[pl.Expr]:
    """Return the change of the weighted price at each step, and the volatility that was realised since a second."""
    bid, ask, bids, asks = (number(f"{side}_{what}1") for what in ("price", "size") for side in ("bid", "ask"))
    price = (bid * asks + ask * bids) / (bids + asks)
    change = pl.when(pl.col(STEP) > 0).then((price / shifted(price, 1)).log()).otherwise(0.0)
    since = [change.pow(2) * (number(SECOND) >= second) for second in (0, 300, 450)]
    realised = [at_end(cumulated(each)).sqrt().alias(f"realised{place}") for place, each in enumerate(since)]
    return [change.abs().alias("change"), *realised, at_end(cumulated(number("order_count"))).alias("orders")]
