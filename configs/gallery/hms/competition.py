"""HMS Harmful Brain Activity 2024, its EEGs: a file each at 200 Hz, brought to 25 Hz and to differences of channels."""

from pathlib import Path

import polars as pl

from foldline.data.reshape import scan

RATE, LOWER = 200, 25  # Hz; of windows in hms.toml the latter
PAIRS = {"LL": ("Fp1", "T3", "O1"), "LP": ("Fp1", "C3", "O1"), "RL": ("Fp2", "T4", "O2"), "RP": ("Fp2", "C4", "O2")}


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Make a row of each 40 ms: what front and back halves of four chains of electrodes differ by, µV."""
    files = {part: sorted((folder / f"{part}_eegs").glob("*.parquet")) for part in ("train", "test")}
    return {part: pl.concat(map(_differences, paths)) for part, paths in files.items() if paths}


def _differences(path: Path) -> pl.LazyFrame:
    parts = {
        f"{chain}{half}": pl.col(ends[half]) - pl.col(ends[half + 1])
        for chain, ends in PAIRS.items()
        for half in (0, 1)
    }
    eeg = scan(path).with_row_index("sample").group_by(tick=pl.col("sample") // (RATE // LOWER), maintain_order=True)
    means = {name: difference.fill_nan(None).mean() for name, difference in parts.items()}
    return eeg.agg(**means).with_columns(eeg_id=pl.lit(path.stem))
