"""Predictions of all answers of series, from passes over a data set: those of overlapping windows are put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from torch import Tensor

from foldline.data import on_disk
from foldline.data.ragged import consecutive, unpad
from foldline.fit import out_of_memory, training_windows
from foldline.fit.datasets import Dataset
from foldline.fit.device_block import Block
from foldline.fit.indexed_dataset import IndexedBlock, IndexedDataset
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.train_config import TrainConfig

PASS = 4  # batches at once: without gradients a pass takes a fraction of the memory
AnyBlock = Block | IndexedBlock
Run = Callable[[AnyBlock, Tensor], Tensor]  # (block, (b,) places in it) -> (b, T, C) on the CPU


def predicted(fold: Dataset, run: Run, part: LabelledSeries, config: TrainConfig, at_once: int = 1) -> np.ndarray:
    """Predict every answer of a data set's series, (a, C) float64; windows are put together.

    Cropped rows get the prediction of the last kept one.

    Args:
        run: makes the passes: some series, or windows, of a block -> (b, T, C).
        part: the series that the data set is of.
        at_once: passes side by side on a CPU, a thread each.
    """
    counts = part.store.answers_of_series[part.series]
    if isinstance(fold, IndexedDataset) and config.windows.used:
        return _stitched(fold, run, counts, config, at_once)
    begins = np.cumsum(counts) - counts
    found: np.ndarray | None = None
    every: Sequence[AnyBlock] = fold.blocks
    for block in every:
        first = 0
        for values in _passes(block, run, fold, config, at_once):
            series = block.places[first : first + len(values)]
            answers = _answers(values, counts[series])
            found = on_disk.zeros((int(counts.sum()), answers.shape[1])) if found is None else found
            found[consecutive(begins[series], counts[series])] = answers
            first += len(values)
    assert found is not None, "there are series"
    return found


def _passes(block: AnyBlock, run: Run, fold: Dataset, config: TrainConfig, at_once: int) -> Iterator[Tensor]:
    size, windows = PASS * config.batch, config.windows
    if windows.used:  # windows may be longer than in training
        size = max(1, size * windows.length // max(windows.length, windows.predicted))
    return out_of_memory.in_parts(partial(run, block), len(block), size, fold.device, at_once)


def _answers(values: Tensor, counts: np.ndarray) -> np.ndarray:
    """Flatten (n, T, C) to (a, C) float64, the last kept step repeated over the cropped ones of each series.

    counts: (n,) answers of each series.
    """
    kept = values.numpy().astype(np.float64)
    last, longest = kept.shape[1], int(counts.max())
    if longest > last:
        kept = np.pad(kept, ((0, 0), (0, longest - last), (0, 0)), mode="edge")
    return unpad(kept[:, :longest], counts)


def _stitched(
    fold: IndexedDataset,
    run: Run,
    counts: np.ndarray,
    config: TrainConfig,
    at_once: int,
) -> np.ndarray:
    """Put windows together: of each row the mean over windows, weighed by its place in them. counts: as above.

    So is the expected absolute error: that of a mean is at most the mean of theirs.
    """
    begins = np.cumsum(counts) - counts
    total: np.ndarray | None = None
    weight = np.zeros((int(counts.sum()), 1))
    for block in fold.blocks:
        windows, first = fold.windows.some(block.places), 0
        for values in _passes(block, run, fold, config, at_once):
            own = windows.some(np.arange(first, first + len(values)))
            counted = training_windows.weights(config.windows.weight, own, block.steps, config.windows.shared)
            total = np.zeros((len(weight), values.shape[2])) if total is None else total
            rows = (begins[own.series] + own.first).tolist()
            for value, share, row, steps in zip(values.numpy(), counted, rows, own.steps.tolist(), strict=True):
                total[row : row + steps] += value[:steps].astype(np.float64) * share[:steps, None]
                weight[row : row + steps, 0] += share[:steps]
            first += len(values)
    assert total is not None, "there are series"
    kept = np.zeros_like(counts)
    kept[fold.windows.series] = fold.windows.lengths
    found = total / np.where(weight > 0, weight, 1.0)  # 0 in cropped rows
    for place in np.flatnonzero(kept < counts):
        last = begins[place] + kept[place]
        found[last : begins[place] + counts[place]] = found[last - 1]
    return found
