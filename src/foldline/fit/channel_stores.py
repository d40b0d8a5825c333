"""A store as a model sees it that learns open rows: an estimator's channels are among its features (channels_from).

Exact rows are known values there (data.known): they are shown, and neither learned nor scored. R rows, C channels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foldline.data import open_rows
from foldline.data.store import Store


def with_channels(store: Store, estimate: np.ndarray, channels: np.ndarray) -> Store:
    """Return a store with channels.

    estimate, channels: (R, 3) and (R, C), as data/channel_files.py has them, of the same table.
    """
    mean, sd, given = estimate[:, 0], estimate[:, 1], estimate[:, 2] > 0
    x = np.concatenate([store.x, channels], axis=1, dtype=np.float32)
    store = replace(
        _named(store), x=x, given=given, scored=store.scored & ~given, estimate=np.stack([mean, sd], axis=1)
    )
    # Exact values are the decoder's in every table: labels of a held-out series must not be among what is shown of it.
    y = np.where(given[:, None], mean[:, None], store.y if store.labelled else 0.0)
    return replace(store, y=y, known=store.known | given[:, None] if store.labelled else given[:, None])


def planned(store: Store) -> Store:
    """Return a store of the same shape before there are any channels, to plan by: all features are 0."""
    named = _named(store)
    nothing = np.zeros(len(store.scored), dtype=bool)
    return replace(named, x=np.broadcast_to(np.float32(0), (len(store.x), len(named.names))), given=nothing)


def _named(store: Store) -> Store:
    names = tuple(f"estimated {name}" for name in open_rows.names())
    return replace(
        store, names=(*store.names, *names), of_static=(*store.of_static, *(False for _ in names)), observed=1
    )
