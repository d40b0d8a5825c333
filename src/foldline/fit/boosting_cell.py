"""LightGBM on one fold: the same interface as a network, on flat rows of scored steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from foldline import models
from foldline.data.metrics import Metric
from foldline.data.store import Store
from foldline.fit.labelled_series import LabelledSeries, labelled_series
from foldline.fit.network_cell import inner_split
from foldline.fit.train_config import TrainConfig
from foldline.fit.trainer import Emit
from foldline.models.systems.lightgbm import LightGBM, Watched

VERSION = 2  # part of every cell's key: raise it when a change here changes what comes out


class RowsCell:
    """Boosted trees on the rows of a fold; of [train], `threads` and `watch` matter. Trees need no scaler."""

    def __init__(self, name: str, params: dict[str, Any], train: TrainConfig, metric: Metric | None = None) -> None:
        """metric: what [train.watch] scores by; only needed where it keeps series out of training."""
        self.train, self.metric = train, metric
        self.model: LightGBM = models.MODELS[name].make(models.MODELS[name].config(**params))

    def fit(self, data: Store, series: np.ndarray, seed: int, emit: Emit) -> None:
        """Fit on the scored rows of the given series, less those whose score [train.watch] says to stop by."""
        rounds, threads = self.model.config.rounds, self.train.threads
        kept, held = inner_split([labelled_series(data, series)], watched_share(self.train), seed)
        x, y = labelled(kept[0])  # (R, F), (R, K)
        watched = None
        if held:
            assert self.metric is not None, "watching needs a metric"
            seen, truth = labelled(held[0])
            watched = Watched(x=seen, y=truth, stop=self.train.watch.stop or rounds, score=self.metric)
        self.model.fit(x, y, seed, threads, lambda done, of: emit("progress", done=done, of=of), watched=watched)
        row = {"loss": float(np.abs(self.model.predict(x, threads) - y).mean())}
        if watched is not None:
            row["watched"] = watched.score(watched.y, self.model.predict(watched.x, threads))
        emit("epoch", epoch=rounds, **row)

    def predict(self, data: Store, series: np.ndarray) -> tuple[np.ndarray, None]:
        """Predict every row of some series: (r, K) float64; trees know no spread."""
        return self.model.predict(inputs(data, series), self.train.threads), None

    def save(self, folder: Path) -> None:
        """booster-K.txt, one a target."""
        self.model.save(folder)

    def load(self, folder: Path, data: Store) -> None:
        """Read what `save` wrote."""
        self.model.load(folder)


def watched_share(train: TrainConfig) -> float:
    """Of the training series: what early stopping looks at, none where nobody asks for it."""
    return train.watch.share if train.watch.stop or train.watch.best else 0.0


def settings(train: TrainConfig) -> dict[str, Any]:
    """Of [train] what trees depend on, for their cells' keys: nothing of the networks' settings."""
    share = watched_share(train)
    return {"threads": train.threads} | ({"watch": {"share": share, "stop": train.watch.stop}} if share else {})


def labelled(part: LabelledSeries) -> tuple[np.ndarray, np.ndarray]:
    """Take the rows that count: (m, F) inputs and (m, K) targets."""
    counts = part.weight > 0
    return inputs(part.store, part.series)[counts], part.y[counts]


def inputs(store: Store, series: np.ndarray) -> np.ndarray:
    """(r, F) features of the rows of some series; with a known start of the target, all of it beside every row."""
    x = store.features(series)
    if not store.observed:
        return x
    start = store.pad(store.y, series, store.observed).reshape(len(series), -1).astype(np.float32)  # (n, observed * K)
    return np.concatenate([x, np.repeat(start, store.lengths[series], axis=0)], axis=1)
