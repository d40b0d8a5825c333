"""A competition whose target is known now and then: water in tanks, whose level somebody reads and writes down.

Pumps fill a tank and are measured all the time; each tank leaks at a rate of its own, which only readings tell. Tests
write it with `write` and `install`, and run verbs with `tiny.run`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import tiny

CONFIG = """
[data]
id = "row"
key = "tank"
order = "hour"
inputs = ["pump", "tap"]
target = ["level"]
known = ["{known}"]
source = "{source}"

[features]
families = ["raw", "time", "integral", "lags"]
lags = {{lags = [1, 2], leads = [1, 2]}}

[folds]
kind = "group"
k = 3

[train]
epochs = {epochs}
batch = 16
lr = 1e-2
device = "cpu"

[[model]]
name = "hybrid"
width = 16
blocks = [{{kind = "bilstm"}}, {{kind = "conv", kernel = 3}}]

[[model]]
name = "lightgbm"
rounds = {rounds}
min_data_in_leaf = 5

[track]
wandb = "disabled"

[executor]
kind = "serial"
"""


def tanks(first: int, count: int, seed: int) -> pl.DataFrame:
    """`count` labelled tanks of 16 to 24 hours, with the column `reading`: the level where somebody read it."""
    rng, parts = np.random.default_rng(seed), []
    for tank in range(first, first + count):
        steps = int(rng.integers(16, 25))
        pump, tap = rng.binomial(1, 0.3, steps) * rng.uniform(1, 3, steps), rng.binomial(1, 0.2, steps) * 2.0
        leak, level, levels = rng.uniform(0.02, 0.2), rng.uniform(2, 10), []
        for added, taken in zip(pump, tap, strict=True):
            level = level * (1 - leak) + added - min(taken, level)
            levels.append(level)
        frame = pl.DataFrame({"tank": [tank] * steps, "hour": np.arange(steps) * 1.0, "pump": pump, "tap": tap})
        read = rng.random(steps) < 0.2
        frame = frame.with_columns(level=np.array(levels) + rng.normal(scale=0.02, size=steps), read=read)
        parts.append(frame)
    whole = pl.concat(parts).with_row_index("row", offset=first * 1000).with_columns(pl.col("row").cast(pl.Int64))
    return whole.with_columns(reading=pl.when("read").then("level")).drop("read")


def frames(train_series: int = 12, test_series: int = 5) -> dict[str, pl.DataFrame]:
    """The three tables, by the stem of their file: `level` is in train and, where it was read, in test."""
    whole = tanks(500, test_series, seed=1)
    test = whole.with_columns(level="reading").drop("reading")
    return {
        "train": tanks(1, train_series, seed=0).drop("reading"),
        "test": test,
        "sample_submission": test.select("row", level=pl.lit(0.0)),
    }


def install(home: Path, source: Path, known: str = "level", epochs: int = 1, rounds: int = 3) -> Path:
    """Write the config `tanks` under the home folder."""
    return tiny.configure(home, "tanks", CONFIG.format(source=source, known=known, epochs=epochs, rounds=rounds))
