"""Child Mind PIU 2024: a file a child of steps of 5 s, which are summed up to hours; most children have none."""

from pathlib import Path

import polars as pl

from foldline.data.reshape import scan

HOUR = (pl.col("relative_date_PCIAT") * 24 + pl.col("time_of_day") // 3_600_000_000_000).alias("hour")


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Make a row an hour, or one without measures for a child; those that are shown as test are no training."""
    shown, test = scan(folder / "test.csv").select("id"), _hours(folder, "test")
    return {"train": _hours(folder, "train").join(shown, on="id", how="anti", maintain_order="left"), "test": test}


def _hours(folder: Path, part: str) -> pl.LazyFrame:
    paths = sorted((folder / f"series_{part}.parquet").glob("id=*/*.parquet"))
    hours = pl.concat([_summed(path) for path in paths])  # a file at a time: all of them do not fit in memory
    children = scan(folder / f"{part}.csv").select("id").join(hours, on="id", how="left", maintain_order="left_right")
    return children.with_columns(pl.col("hour").fill_null(0))


def _summed(path: Path) -> pl.LazyFrame:
    means = [pl.col("enmo", "light", "non-wear_flag").mean(), pl.col("anglez").std().alias("turning")]
    hours = scan(path).group_by(HOUR).agg(means).sort("hour")
    return hours.with_columns(id=pl.lit(path.parent.name.removeprefix("id=")))
