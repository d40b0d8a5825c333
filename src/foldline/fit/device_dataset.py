"""Whole series on the device, scaled and cropped: a batch is an index, there is no DataLoader.

Series that are padded to the same length (padded_lengths.py) lie side by side in a block (device_block.py): series of
one length make one block without padding, and memory follows rows where lengths differ. A batch has a part in each
block that holds some of its series.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from foldline.core.chunks import chunks
from foldline.fit.batch import Batch
from foldline.fit.device_block import Block, place_block
from foldline.fit.drawn_masks import DrawnMasks
from foldline.fit.input_channels import InputChannels
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.padded_lengths import place_of
from foldline.fit.scaler import Scaler


@dataclass(frozen=True)
class DeviceDataset:
    """N series on the device, each in the block of its padded length."""

    blocks: tuple[Block, ...]
    masks: DrawnMasks | None = None  # of known values, while it is learned from; None: they stay, or there are none

    def __len__(self) -> int:
        return sum(len(block) for block in self.blocks)

    @property
    def device(self) -> torch.device:
        """Where the series are."""
        return self.blocks[0].x.device

    @cached_property
    def block_of(self) -> np.ndarray:
        """Number of each series' block, (N,) int64."""
        return self._of_series([np.full(len(block), number) for number, block in enumerate(self.blocks)])

    @cached_property
    def _place_in_block(self) -> np.ndarray:
        return self._of_series([np.arange(len(block)) for block in self.blocks])

    def _of_series(self, values: Sequence[np.ndarray]) -> np.ndarray:
        found = np.empty(len(self), dtype=np.int64)
        for block, each in zip(self.blocks, values, strict=True):
            found[block.places] = each
        return found

    @property
    def hidden(self) -> Tensor:
        """Scaled value of each feature whose static columns are hidden, (F,) float32; NaN: made from none."""
        return self.blocks[0].hidden

    @property
    def codes(self) -> int:
        """L, number of codes of the static column with most of them."""
        return self.blocks[0].codes

    @property
    def bytes_each(self) -> int:
        """Bytes of the features of a series, padded: the mean."""
        return sum(block.x.numel() * block.x.element_size() for block in self.blocks) // len(self)

    @property
    def absent(self) -> dict[str, Tensor]:
        """Scaled values of features without each channel, (F,) float32; NaN: not made of it."""
        return self.blocks[0].absent

    @property
    def channels(self) -> InputChannels:
        """What stands where in a network's input."""
        return self.blocks[0].channels

    def of_epoch(self, seed: int, epoch: int) -> DeviceDataset:
        """Return itself: every epoch has all series, as they are or with its own masks of known values."""
        if self.masks is not None:
            drawn = self.masks.of_epoch(seed, epoch)
            for block in self.blocks:
                block.show(drawn.some(self.masks.answers(block.places)), self.masks.counts[block.places])
        return self

    def series_of(self, order: np.ndarray) -> np.ndarray:
        """Return which series these are, (m,): a window is a whole series here (indexed_dataset.py has others)."""
        return order

    def batches(self, order: np.ndarray, size: int, first: int = 0) -> Iterator[list[Batch]]:
        """Cut series in some order into batches of `size`, each in parts: one for each block that it has series of.

        The order goes to the device here, once for all batches.

        Args:
            order: (n,) int64, of all series or of some.
            first: number of batches to leave out.
        """
        blocks = self.block_of[order]
        inside = [blocks == number for number in range(len(self.blocks))]
        on_host = [self._place_in_block[order[of]] for of in inside]
        places = [torch.from_numpy(place).to(self.device) for place in on_host]
        ends = [np.cumsum(of) for of in inside]
        for part in islice(chunks(len(order), size), first, None):
            cuts = [slice(0 if not part.start else int(end[part.start - 1]), int(end[part.stop - 1])) for end in ends]
            yield [
                block.batch(place[cut], known[cut])
                for block, place, known, cut in zip(self.blocks, places, on_host, cuts, strict=True)
                if cut.stop > cut.start
            ]


def place(
    labelled_sets: Sequence[LabelledSeries],
    scaler: Scaler,
    lengths: tuple[int, ...],
    device: torch.device,
    masks: DrawnMasks | None = None,
) -> DeviceDataset:
    """Copy labelled series to the device, one set after the other, as one dataset.

    Args:
        lengths: ascending, that series are padded to; longer ones are cropped to the last one.
        masks: of known values, that each epoch draws.

    Raises:
        UserError: the device's memory is full.
    """
    own = np.concatenate([part.store.lengths[part.series] for part in labelled_sets])
    of_series = place_of(own, lengths)
    cuts = np.cumsum([len(part.series) for part in labelled_sets])[:-1]
    blocks = []
    for number in np.unique(of_series):
        inside = of_series == number
        sets = labelled_sets
        if not inside.all():
            chosen = np.split(inside, cuts)
            sets = [part.subset(some) for part, some in zip(labelled_sets, chosen, strict=True)]
        blocks.append(place_block(sets, scaler, lengths[number], device, np.flatnonzero(inside)))
    return DeviceDataset(tuple(blocks), masks)
