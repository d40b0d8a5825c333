"""Our side of benchmarks/features.py: the engine's reader, the feature families, quantiles from a sample of breaths."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measured import run
from foldline.data import readers
from foldline.features import Columns, build, compute

LEVELS = {"R": (5, 20, 50), "C": (10, 20, 50)}
COLUMNS = Columns(key="breath_id", order="time_step", inputs=("u_in", "u_out"), static=("R", "C"), levels=LEVELS)
NUMERIC = [
    build("raw", {"complement": ["u_out"]}),
    *map(build, ("time", "integral", "lags", "differences", "stats")),
]
KINDS: readers.Wanted = {
    **dict.fromkeys(("id", "breath_id"), pl.Int32),
    **dict.fromkeys(("R", "C", "u_out"), pl.Int8),
    **dict.fromkeys(("time_step", "u_in", "pressure"), pl.Float64),
}
FAMILIES = [*NUMERIC, build("static")]
STEPS = 80  # of each breath
CHUNK = 1500 * STEPS  # rows made at once, as CHUNK_ROWS in src/foldline/data/feature_file.py
SAMPLE = 4096  # breaths the quantiles are taken from, as in src/foldline/fit/scaler.py


def read(csv: str) -> pl.DataFrame:
    return readers.read(Path(csv), KINDS)


def numeric(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return frame, compute(frame, COLUMNS, NUMERIC)


def one_hots(frames: tuple[pl.DataFrame, pl.DataFrame]) -> pl.DataFrame:
    frame, features = frames
    return features.hstack(compute(frame, COLUMNS, [build("static")]))


def inputs(frame: pl.DataFrame) -> np.ndarray:
    """Return the 37 features as the network takes them (rows, 37), made in chunks as for the store."""
    made = np.empty((frame.height, sum(len(family.names(COLUMNS)) for family in FAMILIES)), dtype=np.float32)

    def make(first: int) -> None:
        part = compute(frame.slice(first, CHUNK), COLUMNS, FAMILIES)
        made[first : first + CHUNK] = part.cast(pl.Float32).to_numpy(order="c")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(make, range(0, frame.height, CHUNK)))
    return made


def training(csv: str) -> pl.DataFrame:
    """Return (x - median) / (q75 - q25) of the 37 features as Float32, in chunks; the quantiles from SAMPLE breaths."""
    frame = read(csv)
    scaled = _scaled(compute(_sample(frame), COLUMNS, FAMILIES))
    chunks = (compute(part, COLUMNS, FAMILIES).select(scaled) for part in frame.iter_slices(CHUNK))
    return pl.concat(chunks, rechunk=False)


def _sample(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of SAMPLE breaths drawn at random, in order."""
    breaths = frame.height // STEPS
    drawn = np.random.default_rng(0).choice(breaths, min(SAMPLE, breaths), replace=False)
    return frame[(np.sort(drawn)[:, None] * STEPS + np.arange(STEPS)).ravel()]


def _scaled(sample: pl.DataFrame) -> list[pl.Expr]:
    expressions = []
    for column in sample:
        low, center, high = np.quantile(column.to_numpy(), [0.25, 0.5, 0.75])
        width = high - low if high > low else 1.0
        expressions.append(((pl.col(column.name) - center) / width).cast(pl.Float32))
    return expressions


if __name__ == "__main__":
    run(f"polars {pl.__version__}", (read, numeric, one_hots), inputs, training)
