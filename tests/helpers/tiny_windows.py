"""A competition of long recordings that are cut into windows, and trains in a second: a sensor on a bridge.

`frames()` has long recordings in train, whose target is at each row, and windows in test; `cut_by_hand()` the same with
the training windows cut by slicing, as a user would write them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import tiny

LENGTH, STRIDE = 6, 4  # rows of a window, and from one to the next: they overlap by two
ROWS = {"north": 17, "south": 20, "east": 9, "west": 26, "mid": 5}  # of each recording; the last one has no window
TEST = 5  # windows
CONFIG = """
[data]
{level}
key = "place"
order = "second"
inputs = ["swing", "load"]
target = ["strain"]
source = "{source}"
{more}

[features]
families = ["raw", "time", "summary"]

[folds]
kind = "group"
k = 2
"""
CONFIG += tiny.LIGHTGBM + tiny.SERIAL
BY_ROWS = f'level = "window"\nwindows = {{length = {LENGTH}, stride = {STRIDE}}}'


def recording(place: str, rows: int, seed: int) -> pl.DataFrame:
    """Make a recording: its strain at a row is the load's mean over the last three rows."""
    rng = np.random.default_rng(seed)
    load = rng.uniform(size=rows)
    strain = np.convolve(load, np.ones(3) / 3)[:rows]
    columns = {"second": np.arange(rows) * 1.0, "swing": rng.normal(size=rows), "load": load, "strain": strain}
    return pl.DataFrame({"place": [place] * rows, **columns})


def frames() -> dict[str, pl.DataFrame]:
    """Make the three tables, by the stem of their file."""
    train = pl.concat(recording(place, rows, seed) for seed, (place, rows) in enumerate(ROWS.items()))
    test = pl.concat(recording(f"t{number}", LENGTH, 100 + number) for number in range(TEST)).drop("strain")
    sample = pl.DataFrame({"place": [f"t{number}" for number in range(TEST)], "strain": 0.0})
    return {"train": train, "test": test, "sample_submission": sample}


def cut_by_hand(train: pl.DataFrame) -> pl.DataFrame:
    """Return the windows as series of their own: the strain of the last row as the answer of all."""
    found = []
    for place, rows in ROWS.items():
        whole = train.filter(pl.col("place") == place)
        for first in range(0, rows - LENGTH + 1, STRIDE):
            window = whole.slice(first, LENGTH).with_columns(
                pl.lit(f"{place}@{first}").alias("place"),
                pl.lit(place).alias("whole place"),
                pl.col("second") - first,
                pl.col("strain").last(),
            )
            found.append(window)
    return pl.concat(found)


def install(
    home: Path,
    source: Path,
    tables: dict[str, pl.DataFrame],
    level: str = BY_ROWS,
    more: str = "",
    name: str = "bridge",
) -> Path:
    """Write the tables to a folder, and their config under the home folder; return the config's path."""
    tiny.write(source, tables)
    return tiny.configure(home, name, CONFIG.format(level=level, source=source, more=more))
