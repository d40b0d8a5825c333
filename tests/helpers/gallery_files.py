"""What tests of the gallery's layouts share: a file that is wrong for a while, and a competition's own metric."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from benchmarks.gallery import GALLERY


@contextmanager
def changed(path: Path, change: pl.Expr) -> Iterator[None]:
    """Change columns of a CSV or Parquet file; its bytes are back at the end."""
    before = path.read_bytes()
    if path.suffix == ".csv":
        pl.read_csv(path, infer_schema_length=None).with_columns(change).write_csv(path)
    else:
        pl.read_parquet(path, hive_partitioning=False).with_columns(change).write_parquet(path)
    try:
        yield
    finally:
        path.write_bytes(before)


def metric_of(name: str) -> Callable[..., float]:
    """Return `score` of a competition's metric.py."""
    score: Callable[..., float] = runpy.run_path(str(GALLERY / name / "metric.py"))["score"]
    return score
