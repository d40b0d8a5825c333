"""Where the features of a batch's series, or windows, are read: the memory-mapped store, or rows on the device.

Both give the same values, unscaled. b windows, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from foldline.core.chunks import chunks
from foldline.fit.device_block import BYTES_PER_CHUNK
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.training_windows import Windows
from foldline.models.packing import sent

Result = TypeVar("Result")


class Rows(Protocol):
    """Where the features of series are."""

    reads_disk: bool  # whether it is worth to read the next batch while one is used

    def read(self, windows: Windows, steps: int) -> Tensor:
        """Return the unscaled features of some windows, (b, steps, F) float32; 0 behind their ends."""


class StoredRows:
    """Features in the store, read as they are needed."""

    reads_disk = True

    def __init__(self, labelled_sets: Sequence[LabelledSeries]) -> None:
        self.stores = [np.asarray(part.store.x) for part in labelled_sets]  # no copy, but faster slices than a memmap's
        self.set_of = np.repeat(np.arange(len(labelled_sets)), [len(part.series) for part in labelled_sets])
        self.begins = np.concatenate([part.store.offsets[part.series] for part in labelled_sets])

    def read(self, windows: Windows, steps: int) -> Tensor:
        """Return the unscaled features of some windows, (b, steps, F) float32; 0 behind their ends."""
        x = np.zeros((len(windows), steps, self.stores[0].shape[1]), dtype=np.float32)
        begins = self.begins[windows.series] + windows.first
        each = zip(self.set_of[windows.series].tolist(), begins.tolist(), windows.steps.tolist(), strict=True)
        for place, (number, begin, count) in enumerate(each):
            x[place, :count] = self.stores[number][begin : begin + count]
        return torch.from_numpy(x)


class DeviceRows:
    """Features on the device, one series after the other: memory follows rows, windows overlap at no cost."""

    reads_disk = False

    def __init__(self, labelled_sets: Sequence[LabelledSeries], device: torch.device) -> None:
        lengths = np.concatenate([part.store.lengths[part.series] for part in labelled_sets])
        self.begins = np.cumsum(lengths) - lengths
        features = len(labelled_sets[0].store.names)
        self.x = torch.zeros(int(lengths.sum()) + 1, features, device=device)  # the last row stands for padding
        first = 0
        for part in labelled_sets:
            rows = part.store.rows(part.series)
            for chunk in chunks(len(rows), max(1, BYTES_PER_CHUNK // (4 * features))):
                values = torch.from_numpy(part.store.features(rows[chunk])).to(device)
                self.x[first : first + len(values)] = values
                first += len(values)

    def read(self, windows: Windows, steps: int) -> Tensor:
        """Return the unscaled features of some windows, (b, steps, F) float32; 0 behind their ends."""
        begins = self.begins[windows.series] + windows.first
        return self.x[places_of(begins, windows.steps, steps, len(self.x) - 1, self.x.device)]


def places_of(begins: np.ndarray, counts: np.ndarray, steps: int, padding: int, device: torch.device) -> Tensor:
    """Return the rows of windows, (b, steps) int64; `padding` behind their ends. begins, counts: (b,) of each."""
    first, last = (sent(torch.from_numpy(values), device).unsqueeze(1) for values in (begins, begins + counts))
    rows = first + torch.arange(steps, device=device)
    return torch.where(rows < last, rows, padding)


def ahead(calls: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """Yield what calls return, in their order; a thread makes the next call while a result is used."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader") as reader:
        waiting = None
        for call in calls:
            following = reader.submit(call)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()
