"""Jane Street 2024: a series is a symbol's day; test counts its days anew; yesterday's responders are known."""

from pathlib import Path

import polars as pl

from foldline.data.reshape import scan

LAGS = pl.col("^responder_.*$").sort_by("time_id").last()  # a symbol's last ones of a day


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Name series, and give each row the last responders of the same symbol's day before."""
    train, test, lags = (scan(folder / f"{name}.parquet") for name in ("train", "test", "lags"))
    before = train.group_by("symbol_id", pl.col("date_id") + 1).agg(LAGS.name.suffix("_lag_1"))
    given = lags.group_by("symbol_id", "date_id").agg(LAGS)
    return {"train": _joined("train", train, before), "test": _joined("test", test, given)}


def _joined(part: str, table: pl.LazyFrame, before: pl.LazyFrame) -> pl.LazyFrame:
    found = table.join(before, on=["symbol_id", "date_id"], how="left", maintain_order="left")
    return found.with_columns(series=pl.format("{} {}-{}", pl.lit(part), "date_id", "symbol_id"))
