"""CMI Detect Behavior 2025: the pixels of a sensor become one; half of training loses what half of test lacks."""

from pathlib import Path

import polars as pl

from foldline.data.reshape import scan

SENSORS = range(1, 6)
ABSENT = [f"{name}_{n}" for name in ("thm", "tof", "echo") for n in SENSORS]  # in half of test


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Make one row a step, with the mean distance and the share of echoes of each time-of-flight sensor."""
    train, test = (_sensors(scan(folder / f"{part}.csv")) for part in ("train", "test"))
    bare = pl.col("sequence_id").str.tail(1).cast(pl.Int64) % 2 == 1  # so that scores are of what test has
    return {"train": train.with_columns(pl.when(~bare).then(pl.col(ABSENT)).name.keep()), "test": test}


def _sensors(rows: pl.LazyFrame) -> pl.LazyFrame:
    pixels = {n: [pl.col(f"tof_{n}_v{v}") for v in range(64)] for n in SENSORS}
    near = {n: pl.mean_horizontal(pl.when(pixel >= 0).then(pixel) for pixel in pixels[n]) for n in SENSORS}
    echo = {n: pl.mean_horizontal(pixel >= 0 for pixel in pixels[n]) for n in SENSORS}  # -1: no echo
    return rows.with_columns(near[n].alias(f"tof_{n}") for n in SENSORS).with_columns(
        echo[n].alias(f"echo_{n}") for n in SENSORS
    )
