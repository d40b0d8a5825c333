"""LightGBM on one fold: the same interface as a network, on flat rows of scored steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from foldline import models
from foldline.data.store import Dense, pad
from foldline.fit.labelled_series import LabelledSeries, labelled_series
from foldline.fit.network_cell import inner_split
from foldline.fit.train_config import TrainConfig
from foldline.fit.trainer import Emit
from foldline.models.systems.lightgbm import LightGBM, Watched

VERSION = 1  # part of every cell's key: raise it when a change here changes what comes out


class RowsCell:
    """Boosted trees on the rows of a fold; of [train], `threads` and `watch` matter. Trees need no scaler."""

    def __init__(self, name: str, params: dict[str, Any], train: TrainConfig) -> None:
        self.train = train
        self.model: LightGBM = models.MODELS[name].make(models.MODELS[name].config(**params))

    def fit(self, data: Dense, series: np.ndarray, seed: int, emit: Emit) -> None:
        """Fit on the scored rows of the given series, less those whose score [train.watch] says to stop by."""
        rounds, threads = self.model.config.rounds, self.train.threads
        taught, held = inner_split([labelled_series(data, series)], watched_share(self.train), seed)
        x, y = labelled(taught[0])  # (R, F), (R, K)
        watched = None
        if held:
            seen, wanted = labelled(held[0])
            watched = Watched(x=seen, y=wanted, stop=self.train.watch.stop or rounds)
        self.model.fit(x, y, seed, threads, lambda done, of: emit("progress", done=done, of=of), watched=watched)
        row = {"loss": float(np.abs(self.model.predict(x, threads) - y).mean())}
        if watched is not None:
            row["watched"] = float(np.abs(self.model.predict(watched.x, threads) - watched.y).mean())
        emit("epoch", epoch=rounds, **row)

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


def watched_share(train: TrainConfig) -> float:
    """Of the training series: what early stopping looks at, none where nobody asks for it."""
    return train.watch.share if train.watch.stop or train.watch.best else 0.0


def settings(train: TrainConfig) -> dict[str, Any]:
    """Of [train] what trees depend on, for their cells' keys: nothing of the networks' settings."""
    share = watched_share(train)
    return {"threads": train.threads} | ({"watch": {"share": share, "stop": train.watch.stop}} if share else {})


def labelled(labelled: LabelledSeries) -> tuple[np.ndarray, np.ndarray]:
    """(R, F) features and (R, K) targets of a labelled's scored steps."""
    scored = labelled.weight > 0
    return rows(labelled.dense, labelled.series, scored), labelled.y[scored]


def rows(data: Dense, series: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(R, F) features of the chosen steps, (n, T) bool; where a start of the target is known, all of it in each row."""
    x = data.x[series]
    if data.observed is not None:
        start = data.observed[series].reshape(len(series), 1, -1).astype(np.float32)  # (n, 1, observed * K)
        x = np.concatenate([x, np.broadcast_to(start, (*x.shape[:2], start.shape[2]))], axis=2)
    return np.asarray(x[chosen])
