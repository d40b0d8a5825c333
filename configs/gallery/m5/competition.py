"""M5 2020: an item of a store a row and a day a column; what is known of the days to come stands in two more tables."""

from pathlib import Path

import polars as pl

from foldline.data.reshape import scan, to_long

LEVELS = ["all", "state_id", "store_id", "cat_id", "dept_id", "state_id cat_id", "state_id dept_id", "store_id cat_id"]
LEVELS += ["store_id dept_id", "item_id", "item_id state_id", "item_id store_id"]
LAST, DAYS = 1913, 1000  # the last day with sales, days of the past that are read
DAY, UNITS, PRICE, WEEK = pl.col("day"), pl.col("sales"), pl.col("sell_price"), ["store_id", "item_id", "wm_yr_wk"]
ADDED = {
    "series": pl.format("{}_{}", "item_id", "store_id"),
    "event": pl.col("event_name_1").is_not_null().cast(pl.Float64),
    "snap": pl.coalesce(pl.when(state_id=state).then(f"snap_{state}") for state in ("CA", "TX", "WI")),
    "all": pl.lit("all"),
}


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Make one row an item of a store and a day on which it is sold; what the metric weighs stands in train."""
    sold, prices = scan(folder / "sales_train_validation.csv"), scan(folder / "sell_prices.csv")
    days = scan(folder / "calendar.csv").with_columns(day=pl.col("d").str.slice(2).cast(pl.Int64))
    past = to_long(sold, order="d", wide="^d_", value="sales").join(days.filter(DAY > LAST - DAYS), on="d")
    future = sold.select(~pl.selectors.matches("^d_")).join(days.filter(DAY > LAST), how="cross")
    past, future = (each.join(prices, on=WEEK, how="left").with_columns(**ADDED) for each in (past, future))
    train = _weighed(past.filter(PRICE.is_not_null()))  # the others are not sold yet
    return {"train": train.sort("series", "day"), "test": future.sort("series", "day")}


def _weighed(past: pl.LazyFrame) -> pl.LazyFrame:
    found = past.with_columns(dollars=(UNITS * PRICE).filter(DAY > LAST - 28).sum().round(2).over("series"))
    for number, level in enumerate(map(str.split, LEVELS), start=1):
        daily = past.group_by(*level, "day").agg(UNITS.sum())  # of `past`: a plan of `found` would double each time
        change = daily.group_by(level).agg(UNITS.sort_by("day").diff().pow(2).mean().alias(f"scale{number}"))
        found = found.join(change.sort(level).with_row_index(f"of{number}"), on=level)
    return found
