"""The record and the predictions of a trained `rides`, read from its files or computed the slow way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl


def recorded(home: Path) -> dict[str, object]:
    """Read the experiment.json of the latest experiment."""
    value: dict[str, object] = json.loads((home / "runs" / "rides" / "latest" / "experiment.json").read_text())
    return value


def blended_by_hand(home: Path, cells_of_each: int) -> np.ndarray:
    """Blend the mean of each model's stored test predictions by the recorded weights, the slow way: (rows,)."""
    value, total = recorded(home), np.zeros(1)
    for label, weight in zip(value["blend"]["labels"], value["blend"]["weights"], strict=True):
        cells = [home / "runs" / "cells" / entry["key"] for entry in value["cells"] if entry["label"] == label]
        assert len(cells) == cells_of_each
        total = total + weight * np.mean([np.load(next(cell.glob("test-*.npy"))) for cell in cells], axis=0)
    return total.reshape(-1)


def submitted(home: Path) -> np.ndarray:
    """Read the submitted predictions: (rows,)."""
    return pl.read_csv(home / "runs" / "rides" / "latest" / "submission.csv")["speed"].to_numpy()
