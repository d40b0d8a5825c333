"""How a network sees labelled series: whole or in windows, on the device or read from the store.

Whole series on the device are the plain case (device_dataset.py); all others are read by an index (indexed_dataset.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.fit import drawn_masks, out_of_memory, patches, residency, training_windows
from foldline.fit.device_dataset import DeviceDataset, place
from foldline.fit.drawn_masks import DrawnMasks
from foldline.fit.indexed_dataset import IndexedDataset
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.padded_lengths import block_lengths, kept_steps, place_of
from foldline.fit.row_sources import DeviceRows, Rows, StoredRows
from foldline.fit.scaler import Scaler
from foldline.fit.train_config import TrainConfig

Dataset = DeviceDataset | IndexedDataset
Say = Callable[[str], None]


def to_train(
    labelled_sets: Sequence[LabelledSeries],
    scaler: Scaler,
    config: TrainConfig,
    seed: int,
    device: torch.device,
    say: Say = lambda sentence: None,
) -> Dataset:
    """Bring series to where batches of a training are made of them. say: is told where "auto" reads from the store.

    Raises:
        UserError: the device's memory is full.
    """
    stores = [part.store for part in labelled_sets]
    lengths = block_lengths(stores, config.margin, config.windows.length)
    masks = drawn_masks.of_training(labelled_sets)
    if not config.windows.used:
        return _of_whole_series(labelled_sets, scaler, lengths, config, device, masks, say)
    own = np.minimum(_lengths(labelled_sets), max(kept_steps(config.margin, store) for store in stores))
    redrawn = partial(training_windows.for_training, own, config.windows)
    needed = 4 * int(_lengths(labelled_sets).sum()) * len(labelled_sets[0].store.names)
    resident, why = residency.decide(config, needed, device)
    if why:
        say(why)
    rows = _on_device(labelled_sets, device) if resident else StoredRows(labelled_sets)
    return IndexedDataset(
        labelled_sets,
        scaler,
        lengths,
        redrawn(seed, 0),
        rows,
        device,
        redrawn if config.windows.starts == "random" else None,
        config.windows,
        masks,
    )


def to_predict(
    part: LabelledSeries,
    scaler: Scaler,
    lengths: tuple[int, ...],
    kept: int,
    config: TrainConfig,
    device: torch.device,
) -> Dataset:
    """Bring series to where they are predicted: whole, or in windows, which are read from the store.

    lengths: ascending, that series or windows are padded to. kept: steps that series are cropped to.

    Raises:
        UserError: the device's memory is full.
    """
    if not config.windows.used:
        return _of_whole_series([part], scaler, lengths, config, device)
    own = np.minimum(part.store.lengths[part.series], kept)
    windows = training_windows.for_prediction(own, config.windows)
    return IndexedDataset([part], scaler, lengths, windows, StoredRows([part]), device)


def _of_whole_series(
    labelled_sets: Sequence[LabelledSeries],
    scaler: Scaler,
    lengths: tuple[int, ...],
    config: TrainConfig,
    device: torch.device,
    masks: DrawnMasks | None = None,
    say: Say = lambda sentence: None,
) -> Dataset:
    own = _lengths(labelled_sets)
    padded = np.asarray(lengths)[place_of(own, lengths)]
    needed = 4 * int(padded.sum()) * labelled_sets[0].store.channels
    resident, why = residency.decide(config, needed, device)
    if resident:
        return place(labelled_sets, scaler, lengths, device, masks)
    if why:
        say(why)
    windows = training_windows.whole_series(np.minimum(own, lengths[-1]))
    return IndexedDataset(labelled_sets, scaler, lengths, windows, StoredRows(labelled_sets), device, masks=masks)


def _lengths(labelled_sets: Sequence[LabelledSeries]) -> np.ndarray:
    return np.concatenate([part.store.lengths[part.series] for part in labelled_sets])


def _on_device(labelled_sets: Sequence[LabelledSeries], device: torch.device) -> Rows:
    rows = out_of_memory.attempt(partial(DeviceRows, labelled_sets, device))
    if rows is None:
        raise UserError(
            "The device's memory is full before the first pass: the features of all series do not fit. Read them from "
            'the store: train.resident = "off".'
        )
    return rows


def steps_in_training(config: TrainConfig, store: Store) -> int:
    """Return T of the longest series, or window, of a training."""
    kept = kept_in_training(config, store)
    return min(kept, config.windows.length) if config.windows.used else kept


def kept_in_training(config: TrainConfig, store: Store) -> int:
    """Return how many steps the longest series keeps, each of them a patch where there are patches, as the margin's."""
    longest, margin = int(patches.steps(store, config.patches).max()), config.margin
    if margin < 0:
        return longest
    return min(patches.steps_to_scored(store, config.patches) + margin, longest)


def count_in_training(config: TrainConfig, store: Store, series: float) -> float:
    """Return how many series, or windows, an epoch on about so many series of a store has."""
    if not config.windows.used:
        return series
    own = np.minimum(patches.steps(store, config.patches), kept_in_training(config, store))
    return series * float(training_windows.counts(own, config.windows.length, config.windows.step).mean())
