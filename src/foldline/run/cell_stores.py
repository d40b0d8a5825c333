"""The store that a cell is fitted on or predicts: with the channels of an estimator's cell, where it reads some."""

from __future__ import annotations

from pathlib import Path

from foldline.data import open_rows
from foldline.data.store import Store, open_store
from foldline.fit import channel_stores
from foldline.run import estimator_channels
from foldline.run.cells import Cell, ModelConfig


def opened(cell: Cell, path: Path) -> Store:
    """Open a store for a cell. What it reads channels of is finished, for this table, too.

    Raises:
        Damaged: a file of it, or those channels, are not what was written.
    """
    store = open_store(path)
    if cell.channels is None and cell.model.channels_from:
        return channel_stores.with_channels(store, *open_rows.embedded_channels(store.fingerprint).read())
    if cell.channels is None:
        return store
    if cell.pretraining_store is not None:
        found = estimator_channels.of_other(cell.channels, store)
    else:
        found = estimator_channels.of_table(cell.channels, store)
    return channel_stores.with_channels(store, *found.read())


def planned(model: ModelConfig, store: Store) -> Store:
    """Return the store by which a model's cells are planned, before anything is fitted."""
    return channel_stores.planned(store) if model.channels_from else store
