"""A forecast of a few shops: days of sales in train, the days behind them in test. Lengths and horizons differ."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tiny

from foldline.data.forecast_config import ForecastConfig
from foldline.data.roles import DataConfig

HISTORY, HORIZON = 8, 4
DATA: dict[str, Any] = {
    "id": "row",
    "key": "shop",
    "order": "day",
    "inputs": ("promo",),
    "static": ("town",),
    "target": ("sales",),
    "forecast": ForecastConfig(history=HISTORY, horizon=HORIZON, windows=2),
}


def shops(count: int = 6, dates: bool = True, seed: int = 0) -> dict[str, pl.DataFrame]:
    """The tables by the stem of their file: shops n0, n1, ... of 14 and more days, of which test has 2 to 4."""
    rng, train, test = np.random.default_rng(seed), [], []
    for number in range(count):
        past, future = 14 + number % 3, 2 + number % 3
        step = np.arange(past + future)
        promo = rng.integers(0, 2, len(step))
        sales = (20 + 10 * number) * (1 + 0.3 * np.sin(2 * np.pi * step / 7) + 0.4 * promo) + rng.normal(size=len(step))
        days = [date(2024, 1, 1) + timedelta(int(day) + number) for day in step] if dates else step + number
        rows = {"shop": [f"n{number}"] * len(step), "day": days, "promo": promo, "town": ["ab"[number % 2]] * len(step)}
        table = pl.DataFrame({**rows, "sales": sales})
        train.append(table[:past])
        test.append(table[past:])
    ahead = pl.concat(test).with_row_index("row", offset=100)
    sample = ahead.select("row", sales=pl.lit(0.0))
    return {"train": pl.concat(train), "test": ahead.drop("sales"), "sample_submission": sample}


def data(folder: Path, tables: dict[str, pl.DataFrame], **changes: Any) -> DataConfig:
    """Write the tables, and return the roles of their columns."""
    return DataConfig(**{**DATA, "source": str(tiny.write(folder, tables)), **changes})


CONFIG = """
[data]
source = "{source}"
id = "row"
key = "shop"
order = "day"
inputs = []
target = ["sales"]
forecast = {{history = 8, horizon = 4, windows = 2}}
target_transform = "standardise"
{changed}

[features]
families = ["target_lags", "calendar"]
target_lags = {{lags = [1, 7], season = 7, scale = "standardise"}}

[folds]
k = 2

[train]
epochs = 1
batch = 4
device = "cpu"

[[model]]
name = "hybrid"
width = 4
blocks = [{{kind = "gru"}}]
"""
CONFIG += tiny.LIGHTGBM + tiny.SERIAL


def install(home: Path, source: Path, changed: str = "") -> Path:
    """Write the config of the shops in `source` under the home folder. changed: of [data], a line."""
    return tiny.configure(home, "shops", CONFIG.format(source=source, changed=changed))
