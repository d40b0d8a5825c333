"""Our side of benchmarks/features.py: the engine's reader, the feature families, quantiles from a sample of breaths."""

from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measured import run
from features import Columns, build, compute
from foldline import readers

LEVELS = {"R": (5, 20, 50), "C": (10, 20, 50)}
COLUMNS = Columns(key="breath_id", order="time_step", inputs=("u_in", "u_out"), static=("R", "C"), levels=LEVELS)
NUMERIC = [
    build("raw", {"complement": ["u_out"]}),
    *map(build, ("time", "integral", "lags", "differences", "stats")),
]
KINDS: dict[str, pl.DataType | type[pl.DataType] | None] = {
    **dict.fromkeys(("id", "breath_id"), pl.Int32),
    **dict.fromkeys(("R", "C", "u_out"), pl.Int8),
    **dict.fromkeys(("time_step", "u_in", "pressure"), pl.Float64),
}
STEPS = 80  # of each breath
BLOCK = 655_360  # rows scaled at once, as many as `compute` works on
SAMPLE = 4096  # breaths the quantiles are taken from, as in foldline/scaler.py


def read(csv: str) -> pl.DataFrame:
    return readers.read(Path(csv), KINDS)


def numeric(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return frame, compute(frame, COLUMNS, NUMERIC)


def one_hots(frames: tuple[pl.DataFrame, pl.DataFrame]) -> pl.DataFrame:
    frame, features = frames
    return features.hstack(compute(frame, COLUMNS, [build("static")]))


def scale(frame: pl.DataFrame) -> pl.DataFrame:
    """(x - median) / (q75 - q25) in Float32, the quantiles from SAMPLE breaths drawn at random."""
    breaths = frame.height // STEPS
    drawn = np.random.default_rng(0).choice(breaths, min(SAMPLE, breaths), replace=False)
    sample = frame[(np.sort(drawn)[:, None] * STEPS + np.arange(STEPS)).ravel()]
    scaled = []
    for column in sample:
        low, center, high = np.quantile(column.to_numpy(), [0.25, 0.5, 0.75])
        width = high - low if high > low else 1.0
        scaled.append(((pl.col(column.name) - center) / width).cast(pl.Float32))
    return pl.concat([part.select(scaled) for part in frame.iter_slices(BLOCK)], rechunk=False)


if __name__ == "__main__":
    run(f"polars {pl.__version__}", (read, numeric, one_hots, scale))
