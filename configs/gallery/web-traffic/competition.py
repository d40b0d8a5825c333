"""Web Traffic 2017: a page a row and a date a column; a key names a page and a date to come."""

from pathlib import Path

import polars as pl

from foldline.data.reshape import scan, to_long

DAY = r"^\d{4}-\d{2}-\d{2}$"
NAME = r"_(?<project>[a-z-]+\.wiki[mp]edia\.org|www\.mediawiki\.org)_(?<access>[a-z-]+)_(?<agent>[a-z-]+)$"


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Make one row a page and a day; a page's name ends in its project, access and agent."""
    train = to_long(scan(folder / "train_2.csv"), order="date", wide=DAY, value="Visits")
    asked = scan(folder / "key_2.csv").select(Page=pl.col("Page").str.head(-11), date=pl.col("Page").str.tail(10))
    parts = pl.col("Page").str.extract_groups(NAME)
    return {part: each.with_columns(parts.struct.unnest()) for part, each in (("train", train), ("test", asked))}
