"""A model of whole series (ROCKET, HYDRA, QUANT) on one fold: the interface of a network; series keep their lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from foldline import models
from foldline.core.errors import UserError, shortened
from foldline.data.store import Store
from foldline.fit import channel_dropout, missing_steps, network_size
from foldline.fit.process_state import use_threads
from foldline.fit.target_transform import PLAIN, TargetTransform
from foldline.fit.train_config import TrainConfig
from foldline.fit.trainer import Emit
from foldline.models.ops.series_model import Read, SeriesModel

VERSION = 2  # part of every cell's key: raise it when a change here changes what comes out


class SeriesCell:
    """A model on features of whole series; it scales its channels itself.

    Of [train] it uses threads and augment.drop_channels.
    """

    def __init__(
        self, name: str, params: dict[str, Any], train: TrainConfig, transform: TargetTransform = PLAIN
    ) -> None:
        self.name, self.train, self.transform = name, train, transform
        self.model: SeriesModel = models.MODELS[name].make(models.MODELS[name].config(**params))

    def fit(self, data: Store, series: np.ndarray, seed: int, emit: Emit) -> None:
        """Fit on those of the given series whose answers are scored, and count (data.weight)."""
        assert data.on_series, "whole series have one answer each"
        use_threads(self.train)
        kept = series[data.scored[series]]
        weight = None if data.weight is None else data.weight[kept]
        if weight is not None:
            kept, weight = kept[weight > 0], _mean_one(weight[weight > 0])
        y = self.transform.forward(np.asarray(data.y[kept]), data, kept)
        predicted = self.model.fit(
            self._reader(data, kept, channel_dropout.drawn(data, self.train.augment.drop_channels, seed)),
            data.lengths[kept],
            y,
            data.task.kind,
            seed,
            self.train.threads,
            lambda done, of: emit("progress", done=done, of=of),
            weight,
            None if data.held_together is None else data.held_together[kept],
        )
        emit("epoch", epoch=1, loss=float(np.abs(predicted - y).mean()))

    def predict(self, data: Store, series: np.ndarray) -> tuple[np.ndarray, None]:
        """Predict every answer of some series: (a, K) float64; no spread is estimated."""
        use_threads(self.train)
        return self.apply(data, series)

    def apply(self, data: Store, series: np.ndarray) -> tuple[np.ndarray, None]:
        """Predict as `predict` does, with the process as it is: no setting of it is changed, from any thread."""
        if not len(series):
            return np.zeros((0, data.targets)), None
        found = self.model.predict(self._reader(data, series), len(series), self.train.threads)
        return self.transform.inverse(found, data, series), None

    def _reader(self, data: Store, series: np.ndarray, lacking: dict[str, np.ndarray] | None = None) -> Read:
        """Return what reads some of the series: each the chosen channels' own steps, (C, T) float32.

        Missing steps are filled from the others; a channel without any is NaN. lacking: channels that series are read
        without (channel_dropout.py).
        """
        columns = columns_of(self.model.config.channels, data)

        def read(numbers: np.ndarray) -> list[np.ndarray]:
            lengths = data.lengths[series[numbers]]
            x = data.features(data.rows(series[numbers]))
            channel_dropout.without(x, np.repeat(series[numbers], lengths), data, lacking or {})
            parts = np.split(x[:, columns], np.cumsum(lengths)[:-1])
            return [np.ascontiguousarray(missing_steps.filled(part).T) for part in parts]

        return read

    def save(self, folder: Path) -> None:
        """Write weights.safetensors."""
        self.model.save(folder)

    def load(self, folder: Path, data: Store) -> None:
        """Read what `save` wrote."""
        self.model.load(folder)


def _mean_one(weight: np.ndarray) -> np.ndarray | None:
    """Divide weights by their mean; equal ones are none, so that they change no bit."""
    return None if (weight == weight[0]).all() else weight / weight.mean()


def settings(train: TrainConfig) -> dict[str, Any]:
    """Return what it depends on of [train], for its cells' keys: sums of matrix products depend on threads."""
    dropped = train.augment.drop_channels
    return {"threads": train.threads} | ({"drop_channels": dropped} if dropped else {})


def columns_of(channels: tuple[str, ...], data: Store) -> list[int]:
    """Return the places of channels among a store's features.

    Raises:
        UserError: one is no feature.
    """
    missing = [name for name in channels if name not in data.names]
    if missing:
        raise UserError(
            f"channels must be features, but {missing[0]!r} is none of {shortened(list(data.names))}: add the family "
            "raw to [features], or name other channels."
        )
    return [data.names.index(name) for name in channels]


def check(label: str, name: str, params: dict[str, Any], data: Store) -> None:
    """Refuse a model whose channels are no features, or whose features and matrices don't fit into memory.

    Raises:
        UserError
    """
    model: SeriesModel = models.MODELS[name].make(models.MODELS[name].config(**params))
    try:
        channels = len(columns_of(model.config.channels, data))
    except UserError as error:
        raise UserError(f"model {label!r}: {error}") from error
    size = model.memory(data.lengths, channels, data.task.kind, data.held_together is not None)
    there = network_size.memory("cpu")
    if size > there:
        raise UserError(
            f"model {label!r}: its features of {len(data.lengths):,} series need {size / 2**30:,.1f} GiB, but this "
            f"machine has {there / 2**30:,.1f} GiB. Take fewer {model.config.takes_less}."
        )
