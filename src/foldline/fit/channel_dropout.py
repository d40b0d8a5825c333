"""Dropout of channels (data.channels): a share of the series is trained on as if a sensor had not been there.

A feature is then what it is in a series that lacks the channel: for networks 0 after scaling where that is missing, and
`missing(x)` says so. Networks draw series anew in each batch; trees and ROCKET, which see all at once, draw them once.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from foldline.core.errors import UserError, unknown
from foldline.data.store import Store
from foldline.fit.train_config import TrainConfig


def check(label: str, train: TrainConfig, channels: Collection[str]) -> None:
    """Refuse channels that are none. label: of the model, for messages. channels: names of data.channels.

    Raises:
        UserError
    """
    where = f"model {label!r}: train.augment.drop_channels"
    for name in train.augment.drop_channels:
        if not channels:
            raise UserError(f"{where} names {name!r}, but there are no data.channels: name its inputs there.")
        if name not in channels:
            raise unknown("channel", name, channels, where)


def scaled(store: Store, center: Tensor, inverse: Tensor) -> dict[str, Tensor]:
    """Return what a network sees without each channel: (channels of its input,) float32, NaN where nothing changes.

    center, inverse: (F,) of the features' scale.
    """
    found = {}
    for name, channel in store.absent.items():
        places = torch.from_numpy(channel.features).to(center.device)
        values = torch.from_numpy(channel.values.astype(np.float32)).to(center.device)
        found[name] = torch.full((store.channels,), torch.nan, device=center.device)
        found[name][places] = ((values - center[places]) * inverse[places]).nan_to_num(nan=0.0)
    return found


def drawn(store: Store, shares: dict[str, float], seed: int) -> dict[str, np.ndarray]:
    """Draw once which series lack which channel: (N,) bool of each."""
    rng = np.random.default_rng([seed, 7])
    return {name: rng.random(len(store.lengths)) < shares[name] for name in sorted(shares)}


def without(x: np.ndarray, series: np.ndarray, store: Store, lacking: dict[str, np.ndarray]) -> None:
    """Let rows lack channels, in place.

    x: (r, F or more) features. series: (r,) of each row. lacking: of `drawn`.
    """
    for name, chosen in lacking.items():
        rows = np.flatnonzero(chosen[series])
        x[np.ix_(rows, store.absent[name].features)] = store.absent[name].values.astype(np.float32)
