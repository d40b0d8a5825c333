"""LANL Earthquake 2019: one long signal without keys, cut where the time to failure jumps up; segments in test."""

from pathlib import Path

import polars as pl

from foldline.data.reshape import scan

LEFT, PIECE = "time_to_failure", 1_500  # samples that become one row: a segment of 150,000 has 100


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Name the quakes of train by their first sample, and make a row of each piece of the signal."""
    types = {"acoustic_data": pl.Int16(), LEFT: pl.Float64()}
    signal = pl.scan_csv(folder / "train.csv", glob=False, schema=types).with_row_index("sample")
    begins = pl.when(pl.col(LEFT).diff() > 0).then("sample").forward_fill().fill_null(0)
    train = signal.with_columns(quake=begins).with_columns(pl.col("sample") - pl.col("quake"))
    pieces = _pieces(train, "quake").with_columns(seg_id=pl.format("quake-{}", "quake"))
    segments = [
        _pieces(scan(path).with_row_index("sample").with_columns(seg_id=pl.lit(path.stem)), "seg_id")
        for path in sorted((folder / "test").glob("*.csv"))
    ]
    return {"train": pieces, "test": pl.concat(segments)}


def _pieces(signal: pl.LazyFrame, key: str) -> pl.LazyFrame:
    """Describe each piece by what no drift of the mean changes; its time to failure is that of its last sample."""
    sound = pl.col("acoustic_data").cast(pl.Float64)
    apart = (sound - sound.median()).abs()
    found = {"spread": sound.std(), "typical": apart.median(), "high": apart.quantile(0.99), "peak": apart.max()}
    grouped = signal.group_by(key, piece=pl.col("sample") // PIECE, maintain_order=True)
    return grouped.agg(pl.col(f"^{LEFT}$").last(), **{name: (each + 1).log() for name, each in found.items()})
