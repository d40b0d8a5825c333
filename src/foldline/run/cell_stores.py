"""The store that a cell is fitted on or predicts: with the channels of an estimator's cell, where it reads some."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foldline.data import channel_files, open_rows
from foldline.data.store import Store, open_store
from foldline.fit import channel_stores
from foldline.fit.estimator_cell import EstimatorCell
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


def masked_copies(cell: Cell, path: Path, series: np.ndarray) -> list[Store]:
    """Return the copies of the training table that a model learns from beside it: other rows of them are exact.

    series: (n,) that the cell is fitted on: which rows stay exact is drawn from these, not from what is held out.

    Raises:
        Damaged: the estimator's cell is not what was written.
    """
    if not cell.model.masked_copies:
        return []
    assert cell.channels is not None, "copies are of series with an estimator's channels"
    cell.channels.refuse_damaged()
    store, other = open_store(path), cell.channels.model
    estimator = EstimatorCell(other.name, other.params)
    estimator.load(cell.channels.folder, store)
    copies = (estimator.of_copy(store, number, series) for number in range(cell.model.masked_copies))
    return [channel_stores.with_channels(store, *channel_files.arrays(found)) for found in copies]


def planned(model: ModelConfig, store: Store) -> Store:
    """Return the store by which a model's cells are planned, before anything is fitted."""
    return channel_stores.planned(store) if model.channels_from else store
