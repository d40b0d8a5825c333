"""Series, or windows of them, that are read by an index for each batch: from the store, or from rows on the device.

A batch is the same, to the last bit, as that of whole series on the device (device_dataset.py), and wherever its
features come from. Read from the store they take no memory but that of the batch, and of the one that a thread reads
meanwhile; the order of series is the same, too. Labels are small beside them, and always on the device.

n windows of N series (a whole series is a window, too), T steps of a batch, F features, K targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from foldline.core.chunks import chunks
from foldline.fit import network_values
from foldline.fit.batch import Batch
from foldline.fit.drawn_masks import Drawn, DrawnMasks
from foldline.fit.input_channels import InputChannels
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.network_values import InputScale
from foldline.fit.padded_lengths import place_of
from foldline.fit.row_sources import Rows, ahead, places_of
from foldline.fit.scaler import Scaler
from foldline.fit.training_windows import Windows, weights
from foldline.fit.window_config import TrainingWindowsConfig
from foldline.models.packing import sent


class Labels:
    """What belongs to the answers of series: flat, on the device, and a row behind the last one for padding."""

    def __init__(self, labelled_sets: Sequence[LabelledSeries], scaler: Scaler, device: torch.device) -> None:
        counts = np.concatenate([part.store.answers_of_series[part.series] for part in labelled_sets])
        self.begins = np.cumsum(counts) - counts
        self.on_series = labelled_sets[0].store.on_series
        known, weight, scored = (
            np.concatenate([getattr(part, name) for part in labelled_sets]) for name in ("known", "weight", "scored")
        )
        scaled = np.concatenate([network_values.targets(part, scaler) for part in labelled_sets])
        self.y = _with_padding(scaled, 0, device)
        self.known = _with_padding(known, False, device)
        self.weight = _with_padding(weight.astype(np.float32), 0, device)
        self.scored = _with_padding(scored, False, device)
        self.shown = None  # (A + 1,) bool, answers whose targets are given in test tables, too, if any are
        if labelled_sets[0].store.observed:
            shown = [network_values.shown(part) for part in labelled_sets]
            self.shown = _with_padding(np.concatenate(shown), False, device)
        self.static = torch.from_numpy(np.concatenate([part.store.static[part.series] for part in labelled_sets])).to(
            device
        )
        auxiliary = network_values.auxiliary(labelled_sets, scaler)
        self.auxiliary = None if auxiliary is None else _with_padding(np.concatenate(auxiliary), np.nan, device)

    def show(self, drawn: Drawn) -> None:
        """Take an epoch's mask of known values."""
        self.shown = _with_padding(drawn.shown, False, self.y.device)
        self.weight = _with_padding(drawn.weight, 0, self.y.device)
        self.scored = _with_padding(drawn.scored, False, self.y.device)

    def places(self, windows: Windows, steps: int) -> Tensor:
        """Return the answers of some windows, (b, steps) int64; (b, 1) where a series has one answer."""
        device, padding = self.y.device, len(self.weight) - 1
        if self.on_series:
            return sent(torch.from_numpy(windows.series), device).unsqueeze(1)
        return places_of(self.begins[windows.series] + windows.first, windows.steps, steps, padding, device)


def _with_padding(values: np.ndarray, padding: float, device: torch.device) -> Tensor:
    """Bring values (A, ...) to the device, and a row of padding behind them."""
    last = np.full((1, *values.shape[1:]), padding, dtype=values.dtype)
    return torch.from_numpy(np.concatenate([values, last])).to(device)


@dataclass(frozen=True)
class IndexedBlock:
    """Windows that are padded to one length."""

    dataset: IndexedDataset
    places: np.ndarray  # (n,) int64, ascending: which windows of the dataset they are
    steps: int  # T
    is_full: bool  # whether all steps are real
    has_unknown: bool  # whether a real step's target is unknown

    def __len__(self) -> int:
        return len(self.places)

    @property
    def channels(self) -> InputChannels:
        """What stands where in a network's input."""
        return self.dataset.channels

    def batch(self, index: Tensor) -> Batch:
        """Return some windows. index: (B,) int64, places in the block."""
        windows = self.dataset.windows.some(self.places[index.cpu().numpy()])
        return self.made(windows, self.dataset.rows.read(windows, self.steps))

    def made(self, windows: Windows, x: Tensor) -> Batch:
        """Make the batch of some windows of the block. x: (B, T, F) unscaled features, anywhere."""
        labels, device, loss = self.dataset.labels, self.dataset.device, self.dataset.loss
        place = labels.places(windows, self.steps)
        mask = lengths = None
        if not self.is_full:
            lengths = torch.from_numpy(windows.steps)
            mask = torch.arange(self.steps, device=device) < sent(lengths, device).unsqueeze(1)
        weight, scored, known = labels.weight[place], labels.scored[place], labels.known[place]
        auxiliary = None if labels.auxiliary is None else labels.auxiliary[place]
        if loss is not None and loss.loss != "flat":
            counted = sent(torch.from_numpy(weights(loss.loss, windows, self.steps, loss.shared)), device)
            # A step that does not count must not pass for one without a score, of which some heads learn, too.
            weight, known = weight * counted, known & (counted > 0).unsqueeze(-1)
        y = labels.y[place]
        return Batch(
            x=self.dataset.network_input(
                x if x.device == device else sent(x, device),
                mask,
                y,
                None if labels.shown is None else labels.shown[place],
            ),
            static=labels.static[sent(torch.from_numpy(windows.series), device)],
            mask=mask,
            y=y,
            weight=weight,
            scored=scored,
            known=known if self.has_unknown or (mask is not None and not labels.on_series) else None,
            has_unknown=self.has_unknown,
            auxiliary=auxiliary,
            lengths=lengths,
        )


class IndexedDataset:
    """n windows of labelled series, each in the block of its padded length; the same interface as a DeviceDataset."""

    def __init__(
        self,
        labelled_sets: Sequence[LabelledSeries],
        scaler: Scaler,
        lengths: tuple[int, ...],
        windows: Windows,
        rows: Rows,
        device: torch.device,
        redrawn: Callable[[int, int], Windows] | None = None,
        loss: TrainingWindowsConfig | None = None,
        masks: DrawnMasks | None = None,
    ) -> None:
        """Bring labels to the device.

        Args:
            labelled_sets: one set after the other.
            lengths: ascending, that windows are padded to.
            windows: of them; each has at most the steps of the last length.
            redrawn: (seed, epoch) -> the windows of an epoch, as many and as long; None: always the same.
            loss: weighs the loss by the place in a window; None: all alike.
            masks: of known values, that each epoch draws; None: they stay, or there are none.
        """
        self.store = labelled_sets[0].store
        self.windows, self.rows, self.device = windows, rows, device
        self.labels = Labels(labelled_sets, scaler, device)
        self.redrawn, self.loss, self.masks = redrawn, loss, masks
        self.missing = any(part.store.missing for part in labelled_sets)
        self.scale = InputScale(self.store, scaler, device)
        self.hidden, self.codes, self.absent = self.scale.hidden, self.scale.codes, self.scale.absent
        self.blocks = self._blocks(lengths, _has_unknown(labelled_sets, windows))

    def _blocks(self, lengths: tuple[int, ...], unknown: np.ndarray) -> tuple[IndexedBlock, ...]:
        """Sort windows by the length that they are padded to. unknown: (N,) bool, whether a target of a series is."""
        of_window, blocks = place_of(self.windows.steps, lengths), []
        weighed = self.loss is not None and self.loss.loss == "centre"
        for number in np.unique(of_window):
            places = np.flatnonzero(of_window == number)
            full = bool((self.windows.steps[places] == lengths[number]).all())
            has_unknown = weighed or bool(unknown[self.windows.series[places]].any())
            blocks.append(IndexedBlock(self, places, lengths[number], full, has_unknown))
        return tuple(blocks)

    def __len__(self) -> int:
        return len(self.windows)

    @cached_property
    def block_of(self) -> np.ndarray:
        """Number of each window's block, (n,) int64."""
        found = np.empty(len(self), dtype=np.int64)
        for number, block in enumerate(self.blocks):
            found[block.places] = number
        return found

    @property
    def channels(self) -> InputChannels:
        """What stands where in a network's input."""
        return self.scale.channels

    @property
    def bytes_each(self) -> int:
        """Bytes of the features of a window, padded: the mean."""
        return 4 * self.store.channels * sum(len(block) * block.steps for block in self.blocks) // len(self)

    def of_epoch(self, seed: int, epoch: int) -> IndexedDataset:
        """Return the data set of an epoch: its windows, and its masks of known values, are drawn here."""
        if self.masks is not None:
            self.labels.show(self.masks.of_epoch(seed, epoch))
        if self.redrawn is not None:
            self.windows = self.redrawn(seed, epoch)
        return self

    def series_of(self, order: np.ndarray) -> np.ndarray:
        """Return which series windows are of. order: (m,) places of windows."""
        return np.asarray(self.windows.series[order])

    def batches(self, order: np.ndarray, size: int, first: int = 0) -> Iterator[list[Batch]]:
        """Cut windows in some order into batches of `size`, each in parts: one for each block that it has some of.

        What comes from the disk is read by a thread, a batch ahead.

        Args:
            order: (m,) int64, of all windows or of some.
            first: number of batches to leave out.
        """
        reads = (partial(self._read, order[part]) for part in islice(chunks(len(order), size), first, None))
        for parts in ahead(reads) if self.rows.reads_disk else (read() for read in reads):
            yield [block.made(windows, x) for block, windows, x in parts]

    def _read(self, chosen: np.ndarray) -> list[tuple[IndexedBlock, Windows, Tensor]]:
        """Read the features of some windows, (b,) places, block by block."""
        parts, blocks = [], self.block_of[chosen]
        for number in np.unique(blocks):
            block, windows = self.blocks[number], self.windows.some(chosen[blocks == number])
            parts.append((block, windows, self.rows.read(windows, block.steps)))
        return parts

    def network_input(self, x: Tensor, mask: Tensor | None, y: Tensor, shown: Tensor | None) -> Tensor:
        """Scale features (B, T, F), 0 where they are missing or padding, and put a known start behind them.

        shown: (B, T) bool, the steps of that start; None: there is none.
        """
        x = self.scale.scaled(x, mask, self.missing)
        if shown is None:
            return x
        known = shown.unsqueeze(-1)  # as models/ops/known_target.py reads it
        return torch.cat([x, torch.where(known, y, 0.0), known.float()], dim=-1)


def _has_unknown(labelled_sets: Sequence[LabelledSeries], windows: Windows) -> np.ndarray:
    """Return whether a target of each series is unknown, (N,) bool, at the steps that its windows may have."""
    if all(part.known.all() for part in labelled_sets):
        return np.zeros(sum(len(part.series) for part in labelled_sets), dtype=bool)
    kept = np.zeros(sum(len(part.series) for part in labelled_sets), dtype=np.int64)
    kept[windows.series] = windows.lengths
    found, first = [], 0
    for part in labelled_sets:
        counts = part.store.answers_of_series[part.series]
        owner = np.repeat(np.arange(len(counts)), counts)
        step = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        inside = step < kept[first : first + len(counts)][owner]
        found.append(np.bincount(owner, ~part.known.all(axis=1) & inside, len(counts)) > 0)
        first += len(counts)
    return np.concatenate(found)
