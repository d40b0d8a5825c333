"""The store that a cell is fitted on or predicts: with the channels of an estimator's cell, where it reads some."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foldline.core import files
from foldline.data import open_rows
from foldline.data.store import Store, open_store
from foldline.fit import channel_stores
from foldline.fit.estimator_cell import EstimatorCell
from foldline.run.cells import Cell, ModelConfig


def opened(cell: Cell, path: Path) -> Store:
    """Open a store for a cell. What it reads channels of is finished, for this table, too.

    Raises:
        Damaged: a file of it, or those channels, are not what was written.
    """
    store = open_store(path)
    if cell.channels is None and cell.model.channels_from:
        return channel_stores.with_channels(store, open_rows.embedded_channels(store.fingerprint))
    if cell.channels is None:
        return store
    if cell.pretraining_store is not None:
        return channel_stores.with_channels(store, _estimated(cell.channels, store))
    cell.channels.refuse_damaged(None if store.labelled else store.fingerprint)
    channels = files.read_array(cell.channels.channels_path(store.fingerprint, store.labelled), mapped=True)
    return channel_stores.with_channels(store, channels)


def _estimated(cell: Cell, store: Store) -> np.ndarray:
    """Let an estimator's cell make its channels of series that it has not stored any of: those to pre-train on."""
    cell.refuse_damaged()
    estimator = EstimatorCell(cell.model.name, cell.model.params)
    estimator.load(cell.folder, store)
    return estimator.channels(store)


def planned(model: ModelConfig, store: Store) -> Store:
    """Return the store by which a model's cells are planned, before anything is fitted."""
    return channel_stores.planned(store) if model.channels_from else store
