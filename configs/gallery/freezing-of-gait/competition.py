"""Freezing of Gait 2023: a file a walk; the lab's in m/s² at 128 Hz, those from home in g at 100 Hz."""

from pathlib import Path

import polars as pl

from foldline.data.reshape import scan
from foldline.features import Columns
from foldline.features.family import SERIES, shifted

PLACES, AXES = {"tdcsfog": 1.0, "defog": 9.80665}, ["AccV", "AccML", "AccAP"]  # m/s² in the unit of a place's files


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Bring all walks to m/s² and give them what is known of them; outside of Valid and Task nothing counts."""
    metadata = pl.concat([scan(folder / f"{place}_metadata.csv") for place in PLACES], how="diagonal")
    keys = {"left_on": "walk", "right_on": "Id", "how": "left", "maintain_order": "left"}
    train, test = (_walks(folder / part).join(metadata, **keys) for part in ("train", "test"))
    counts = (pl.col("Valid") & pl.col("Task")).fill_null(True).cast(pl.Float64)
    return {"train": train.with_columns(counts=counts), "test": test}


def features(columns: Columns) -> list[pl.Expr]:
    """Return how much each axis trembles in the half second around a sample: 0.1 s apart, steps change less."""
    apart = [(pl.col(axis) - shifted(pl.col(axis), 12)).alias(f"tremor({axis})") for axis in AXES]
    return [each.rolling_std(65, min_samples=2, center=True).over(SERIES) for each in apart]


def _walks(folder: Path) -> pl.LazyFrame:
    paths = [path for place in PLACES for path in sorted((folder / place).glob("*.csv"))]
    known = {path: {"walk": pl.lit(path.stem), "place": pl.lit(path.parent.name)} for path in paths}
    unit = {path: pl.col(AXES) * PLACES[path.parent.name] for path in paths}
    return pl.concat([scan(path).with_columns(unit[path], **known[path]) for path in paths], how="diagonal")
