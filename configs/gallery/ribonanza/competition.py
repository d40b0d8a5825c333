"""Ribonanza 2023: a molecule and experiment a row, positions side by side; pairing probabilities in text files."""

from pathlib import Path

import numpy as np
import polars as pl

from foldline.data.reshape import scan, to_long

KINDS, WIDE = ["DMS_MaP", "2A3_MaP"], r"^reactivity_\d{4}$"


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Make one row a position, with the values of both experiments; a molecule may be in train and test."""
    first, second = (_measured(scan(folder / "train_data.csv"), kind) for kind in KINDS)
    train = first.join(second.drop("sequence"), on="sequence_id", maintain_order="left").with_columns(
        weight=pl.min_horizontal("^signal_to_noise.*$").clip(0, 10), SN_filter=pl.min_horizontal("^SN_filter.*$")
    )
    test = scan(folder / "test_sequences.csv").with_columns(sequence_id=pl.format("{} test", "sequence_id"))
    return {"train": _long(folder, train, [f"reactivity_{kind}" for kind in KINDS]), "test": _long(folder, test, [])}


def _measured(rows: pl.LazyFrame, kind: str) -> pl.LazyFrame:
    own = rows.filter(experiment_type=kind).sort("signal_to_noise", descending=True, maintain_order=True)
    values = pl.concat_list(pl.col(WIDE).cast(pl.Float64)).list.head(pl.col("sequence").str.len_chars())
    noise = pl.col("signal_to_noise", "SN_filter").name.suffix(f" {kind}")
    return own.unique("sequence_id", keep="first", maintain_order=True).select(
        "sequence_id", "sequence", noise, values.alias(f"reactivity_{kind}")
    )


def _long(folder: Path, molecules: pl.LazyFrame, answers: list[str]) -> pl.LazyFrame:
    paired = pl.struct("sequence_id", "sequence").map_elements(lambda row: _paired(folder, **row), pl.List(pl.Float64))
    long = to_long(molecules.with_columns(paired=paired), order="position", arrays=["sequence", "paired", *answers])
    return long.with_columns((pl.col("sequence") == base).cast(pl.Float64).alias(base) for base in "ACGU")


def _paired(folder: Path, sequence_id: str, sequence: str) -> list[float]:
    path = folder / "Ribonanza_bpp_files" / "extra_data" / "/".join(sequence_id[:3]) / f"{sequence_id.split()[0]}.txt"
    one, other, share = np.loadtxt(path, ndmin=2).T
    places = np.concatenate([one, other]).astype(int) - 1
    return np.bincount(places, np.tile(share, 2), len(sequence)).tolist()
