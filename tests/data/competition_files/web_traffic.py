"""Web Traffic 2017: a page a row and a date a column; the submission names a page and a date by a key from a file."""

from pathlib import Path

import polars as pl

from foldline.data.reshape import scan, to_long

DAYS = r"^\d{4}-\d{2}-\d{2}$"


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Make one row a page and a day."""
    day = pl.col("date").str.to_date()
    numbers = [day.to_physical().cast(pl.Float64).alias("day"), day.dt.weekday().cast(pl.Float64).alias("weekday")]
    train = to_long(scan(folder / "train_1.csv"), order="date", wide=DAYS, value="Visits").with_columns(*numbers)
    asked = scan(folder / "key_1.csv").select(Page=pl.col("Page").str.head(-11), date=pl.col("Page").str.tail(10))
    test = asked.with_columns(*numbers)
    named = pl.format("{}_{}", "Page", "date").alias("row")
    return {"train": train.with_columns(named), "test": test.with_columns(named)}


def submission(predictions: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """Give each prediction its key."""
    keys = scan(folder / "key_1.csv").collect()
    return keys.join(predictions, left_on="Page", right_on="row", maintain_order="left").select("Id", "Visits")
