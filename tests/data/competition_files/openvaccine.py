"""OpenVaccine 2020: a molecule a line, bases as text, answers as lists that are known for the first positions."""

from pathlib import Path

import polars as pl

from foldline.data.reshape import scan, to_long

TEXTS = ["sequence", "structure", "predicted_loop_type"]  # one character a position
ANSWERS = ["reactivity", "deg_Mg_pH10", "deg_Mg_50C", "deg_pH10", "deg_50C"]


def tables(folder: Path) -> dict[str, pl.LazyFrame]:
    """Make one row a position, with the row ids of the submission."""
    row_id = pl.format("{}_{}", "id", "position").alias("id_seqpos")
    train = to_long(scan(folder / "train.json"), order="position", arrays=[*TEXTS, *ANSWERS])
    test = to_long(scan(folder / "test.json"), order="position", arrays=TEXTS)
    base = [(pl.col("sequence") == letter).cast(pl.Float64).alias(letter) for letter in "ACGU"]
    return {"train": train.with_columns(row_id, *base), "test": test.with_columns(row_id, *base)}
