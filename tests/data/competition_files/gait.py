"""Freezing of Gait 2023: a file a walk, events as intervals in seconds, times as numbers of samples."""

from pathlib import Path

import polars as pl

from foldline.data.reshape import label_intervals, scan
from foldline.features import Columns
from foldline.features.family import shifted


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Label each sample by the events, and name it as the submission does."""
    names = {"on": "Id", "order": "Second", "start": "Init", "end": "Completion", "label": "Type"}
    events, labels = scan(folder / "events.csv"), ["StartHesitation", "Turn", "Walking"]
    train = label_intervals(_walks(folder / "train"), events, **names, labels=labels)
    return {"train": train, "test": _walks(folder / "test")}


def features(columns: Columns) -> list[pl.Expr]:
    """Return how strong the acceleration is, and how much that has changed since the sample before."""
    strength = pl.sum_horizontal(pl.col(name) ** 2 for name in columns.inputs).sqrt()
    return [strength.alias("strength"), (strength - shifted(strength, 1)).alias("jerk")]


def _walks(folder: Path) -> pl.LazyFrame:
    walks = pl.concat(scan(path).with_columns(Id=pl.lit(path.stem)) for path in sorted(folder.glob("*.csv")))
    return walks.with_columns(Second=pl.col("Time") / 128.0, Row=pl.format("{}_{}", "Id", "Time"))
