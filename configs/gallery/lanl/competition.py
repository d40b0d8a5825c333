"""LANL Earthquake 2019: one long signal without keys, cut where the time to failure jumps up; segments in test."""

from pathlib import Path

import polars as pl

LEFT, PIECE = "time_to_failure", 1_500  # samples that become one row: a segment of 150,000 has 100


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Make a row of each piece of the signal; in train number the quakes, without the pieces in which one slips."""
    pieces = _pieces(folder / "train.csv", {LEFT: pl.Float64()}).with_columns(slips=pl.col(LEFT).diff() > 0)
    quakes = pieces.with_columns(pl.col("slips").fill_null(False)).with_columns(quake=pl.col("slips").cum_sum())
    train = quakes.filter(~pl.col("slips")).with_columns(seg_id=pl.format("quake-{}", "quake"))
    segments = sorted((folder / "test").glob("*.csv"))
    test = pl.concat(_pieces(path).with_columns(seg_id=pl.lit(path.stem)) for path in segments)
    return {"train": train, "test": test}


def _pieces(path: Path, target: dict[str, pl.DataType] | None = None) -> pl.LazyFrame:
    """Describe each piece by what no drift of the mean changes; its time to failure is that of its last sample."""
    signal = pl.scan_csv(path, glob=False, schema={"acoustic_data": pl.Int16(), **(target or {})})
    sound = pl.col("acoustic_data")
    apart = (sound - sound.median().cast(pl.Int16)).abs()
    found = {"spread": sound.std(), "typical": apart.median(), "high": apart.quantile(0.99), "peak": apart.max()}
    grouped = signal.with_row_index("piece").group_by(pl.col("piece") // PIECE)
    described = {name: (each + 1).log() for name, each in found.items()}
    return grouped.agg(*(pl.col(name).last() for name in target or ()), **described).sort("piece")
