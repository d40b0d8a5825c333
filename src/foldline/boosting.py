"""LightGBM on one fold: the same interface as a network, on flat rows of scored steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import models
from foldline.recipe import TrainConfig
from foldline.store import Dense, pad
from foldline.trainer import Emit
from models.lightgbm import LightGBM

VERSION = 1  # part of every cell's key: raise it when a change here changes what comes out


class RowsCell:
    """Boosted trees on the rows of a fold; of [train], only `threads` matters. Trees need no scaler."""

    def __init__(self, name: str, params: dict[str, Any], train: TrainConfig) -> None:
        self.train = train
        self.model: LightGBM = models.MODELS[name].make(models.MODELS[name].config(**params))

    def fit(self, data: Dense, series: np.ndarray, seed: int, emit: Emit) -> None:
        """Fit on the scored rows of the given series."""
        assert data.y is not None, "labelled series are needed"
        scored = data.scored[series]
        x, y = rows(data, series, scored), data.y[series][scored]  # (R, F), (R, K)
        self.model.fit(x, y, seed, self.train.threads, lambda done, of: emit("progress", done=done, of=of))
        error = float(np.abs(self.model.predict(x, self.train.threads) - y).mean())
        emit("epoch", epoch=self.model.config.rounds, loss=error)

    def predict(self, data: Dense, series: np.ndarray) -> tuple[np.ndarray, None]:
        """(n, T, K) float64 for every real step; trees know no spread."""
        mask = data.mask[series]
        predicted = self.model.predict(rows(data, series, mask), self.train.threads)
        return pad(predicted, data.lengths[series], data.x.shape[1]), None

    def save(self, folder: Path) -> None:
        """booster-K.txt, one a target."""
        self.model.save(folder)

    def load(self, folder: Path, data: Dense) -> None:
        """Read what `save` wrote."""
        self.model.load(folder)


def rows(data: Dense, series: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(R, F) features of the chosen steps, (n, T) bool; where a start of the target is known, all of it in each row."""
    x = data.x[series]
    if data.observed is not None:
        start = data.observed[series].reshape(len(series), 1, -1).astype(np.float32)  # (n, 1, observed * K)
        x = np.concatenate([x, np.broadcast_to(start, (*x.shape[:2], start.shape[2]))], axis=2)
    return np.asarray(x[chosen])
