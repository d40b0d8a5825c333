"""OpenVaccine 2020: a molecule a line, letters as text, answers as lists that the first positions have."""

from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse.csgraph import connected_components

from foldline.data.pairs import pair_columns, pair_names
from foldline.data.reshape import scan, to_long

LETTERS = {"sequence": "ACGU", "structure": "(.)", "predicted_loop_type": "EHSXMIB"}
PAIRS = pair_names("bpp", 2)  # the two likeliest partners of each base
ANSWERS = ["reactivity", "deg_Mg_pH10", "deg_pH10", "deg_Mg_50C", "deg_50C"]


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Make one row a position; molecules that differ in less than a quarter of their bases are one cluster."""
    train = scan(folder / "train.json").with_columns(cluster=pl.col("sequence").map_batches(_clusters, pl.Int64))
    return {"train": _long(folder, train, ANSWERS), "test": _long(folder, scan(folder / "test.json"), [])}


def _long(folder: Path, molecules: pl.LazyFrame, answers: list[str]) -> pl.LazyFrame:
    lists = pl.Struct(dict.fromkeys(["paired", *PAIRS], pl.List(pl.Float64)))
    paired = pl.col("id").map_elements(lambda name: _paired(folder / "bpps" / f"{name}.npy"), lists)
    wide = molecules.with_columns(of_pairs=paired).unnest("of_pairs")
    long = to_long(wide, order="position", arrays=[*LETTERS, "paired", *PAIRS, *answers])
    one_hot = [(pl.col(name) == letter).cast(pl.Float64).alias(letter) for name in LETTERS for letter in LETTERS[name]]
    return long.with_columns(*one_hot, counts=(pl.col("position") < pl.col("seq_scored")).cast(pl.Float64))


def _paired(path: Path) -> dict[str, list[float]]:
    matrix = np.load(path)
    return {"paired": matrix.sum(0).tolist(), **pair_columns("bpp", matrix, len(matrix), 2)}


def _clusters(sequences: pl.Series) -> pl.Series:
    codes = np.array([list(text.encode()) for text in sequences])
    near = np.stack([(codes != one).mean(axis=1) < 0.25 for one in codes])
    return pl.Series(connected_components(near)[1], dtype=pl.Int64)
