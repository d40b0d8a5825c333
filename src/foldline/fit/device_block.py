"""Series on the device, scaled, cropped and padded to one length: a *block*; a batch of it is an index.

All sizes are known on the host. Letters as in models/contract.py: N series, T steps (cropped), F features (those of a
known start, if any, behind all others), S static columns, K targets. At the level "series" there is one answer a
series: y, weight, scored and known have one step then, T = 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from foldline.core.byte_sizes import byte_size
from foldline.core.chunks import chunks
from foldline.core.errors import UserError
from foldline.data.ragged import pad
from foldline.fit import network_values
from foldline.fit.batch import Batch
from foldline.fit.drawn_masks import Drawn
from foldline.fit.input_channels import InputChannels
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.network_values import InputScale
from foldline.fit.out_of_memory import attempt
from foldline.fit.scaler import Scaler

BYTES_PER_CHUNK = 256 << 20  # features scaled and sent to the device at once: small beside any device's memory


@dataclass(frozen=True)
class Block:
    """N series of the dataset, padded to one length."""

    places: np.ndarray  # (N,) int64, ascending: which series of the dataset they are
    x: Tensor  # (N, T, F) float32, scaled; known target behind the features (models/ops/known_target.py)
    static: Tensor  # (N, S) int64
    mask: Tensor | None  # (N, T) bool; None where all steps are real
    y: Tensor  # (N, T, K) float32, scaled; meaningless where it is not known
    weight: Tensor  # (N, T) float32
    scored: Tensor  # (N, T) bool
    known: Tensor | None  # (N, T, K) bool, targets whose value is given; None where all are, and all steps are real
    has_unknown: bool  # whether a real step's target is unknown
    hidden: Tensor  # (F,) float32, scaled value of each feature whose static columns are hidden; NaN: made from none
    codes: int  # L, number of codes of the static column with most of them
    absent: dict[str, Tensor]  # (F,) float32 of each channel, scaled values without it; NaN: not made of it
    scale: InputScale | None = None  # of x; only augmentation asks for it
    auxiliary: Tensor | None = None  # (N, T, columns) float32, auxiliary targets, scaled; NaN: not known; None: none
    lengths: Tensor | None = None  # (N,) int64 on the host, real steps of each series; None where all are

    def batch(self, index: Tensor, on_host: np.ndarray | None = None) -> Batch:
        """Return some series.

        Args:
            index: (B,) int64, on the device.
            on_host: the same; None: it is fetched where lengths differ, and a GPU is waited for.
        """
        mask, lengths = None if self.mask is None else self.mask[index], None
        if self.lengths is not None:
            lengths = self.lengths[index.cpu() if on_host is None else torch.from_numpy(on_host)]
        known = None if self.known is None else self.known[index]
        tensors = {name: getattr(self, name)[index] for name in ("x", "static", "y", "weight", "scored")}
        auxiliary = None if self.auxiliary is None else self.auxiliary[index]
        return Batch(
            **tensors, mask=mask, known=known, has_unknown=self.has_unknown, auxiliary=auxiliary, lengths=lengths
        )

    def show(self, drawn: Drawn, lengths: np.ndarray) -> None:
        """Take an epoch's mask of known values, in place. drawn: of its series' answers; lengths: (N,) of them."""
        shown, weight, scored = (
            torch.from_numpy(pad(values, lengths, self.x.shape[1])).to(self.x.device)
            for values in (drawn.shown, drawn.weight, drawn.scored)
        )
        self.weight.copy_(weight)
        self.scored.copy_(scored)
        _show(self.x, self.y, shown)

    @property
    def channels(self) -> InputChannels:
        """What stands where in x."""
        assert self.scale is not None, "a block that is augmented knows its scale"
        return self.scale.channels

    def __len__(self) -> int:
        return len(self.x)

    @property
    def is_full(self) -> bool:
        """Whether all steps are real."""
        return self.mask is None


def place_block(
    labelled_sets: Sequence[LabelledSeries],
    scaler: Scaler,
    steps: int,
    device: torch.device,
    places: np.ndarray | None = None,
) -> Block:
    """Copy labelled series to the device as one block of T = `steps` steps.

    places: which series of a dataset they are; None: all of it.

    Raises:
        UserError: the device's memory is full.
    """
    placed = attempt(partial(_placed, labelled_sets, scaler, steps, device, places))
    if placed is not None:
        return placed
    count = sum(len(part.series) for part in labelled_sets)
    size = byte_size(4 * count * steps * labelled_sets[0].store.channels)
    raise UserError(
        f"The device's memory is full before the first pass: {count} series of {steps} steps with all their features "
        f"take {size}. Crop more steps (train.margin), leave out feature families, train fewer cells at once "
        '(executor.together), or read features from the store: train.resident = "off".'
    )


def _placed(
    labelled_sets: Sequence[LabelledSeries],
    scaler: Scaler,
    steps: int,
    device: torch.device,
    places: np.ndarray | None,
) -> Block:
    count = sum(len(part.series) for part in labelled_sets)
    store = labelled_sets[0].store
    features, channels, targets = len(store.names), store.channels, labelled_sets[0].y.shape[1]
    x = torch.zeros(count, steps, channels, device=device)
    mask = torch.zeros(count, steps, dtype=torch.bool, device=device)
    answers = 1 if store.on_series else steps
    y = torch.zeros(count, answers, targets, device=device)
    known = torch.zeros(count, answers, targets, dtype=torch.bool, device=device)
    weight = torch.zeros(count, answers, device=device)
    scored = torch.zeros(count, answers, dtype=torch.bool, device=device)
    scale, first = InputScale(store, scaler, device), 0
    for part in labelled_sets:
        last, counts = first + len(part.series), part.store.answers_of_series[part.series]
        _fill(x[first:last, :, :features], part, scale)
        y[first:last] = torch.from_numpy(pad(network_values.targets(part, scaler), counts, answers)).to(device)
        known[first:last] = torch.from_numpy(pad(part.known, counts, answers)).to(device)
        mask[first:last] = torch.from_numpy(part.store.mask(part.series, steps)).to(device)
        weight[first:last] = torch.from_numpy(pad(part.weight, counts, answers)).to(device)
        scored[first:last] = torch.from_numpy(pad(part.scored, counts, answers)).to(device)
        if part.store.observed:  # what is known, as models/ops/known_target.py reads it
            shown = torch.from_numpy(pad(network_values.shown(part), counts, steps)).to(device)
            _show(x[first:last], y[first:last], shown)
        first = last
    static = torch.cat([torch.from_numpy(part.store.static[part.series]) for part in labelled_sets]).to(device)
    full = bool(mask.all())
    return Block(
        places=np.arange(count) if places is None else places,
        x=x,
        static=static,
        mask=None if full else mask,
        lengths=None if full else mask.sum(dim=1).cpu(),
        y=y,
        weight=weight,
        scored=scored,
        known=None if bool(known.all()) else known,
        has_unknown=bool((mask[:, :answers].unsqueeze(-1) & ~known).any()),
        hidden=scale.hidden,
        codes=scale.codes,
        absent=scale.absent,
        scale=scale,
        auxiliary=_auxiliary(labelled_sets, scaler, answers, device),
    )


def _show(x: Tensor, y: Tensor, shown: Tensor) -> None:
    """Write known targets behind the features, in place. x: (n, T, F); y: (n, T, K); shown: (n, T) bool."""
    x[..., -y.shape[-1] - 1 : -1] = torch.where(shown.unsqueeze(-1), y, 0.0)
    x[..., -1] = shown.float()


def _auxiliary(
    labelled_sets: Sequence[LabelledSeries], scaler: Scaler, answers: int, device: torch.device
) -> Tensor | None:
    """Put auxiliary targets into one tensor, (N, answers, columns); None where nothing learns them."""
    scaled = network_values.auxiliary(labelled_sets, scaler)
    if scaled is None:
        return None
    parts = []
    for part, values in zip(labelled_sets, scaled, strict=True):
        counts = part.store.answers_of_series[part.series]
        padded = pad(values, counts, answers)
        padded[~pad(np.ones(len(values), dtype=bool), counts, answers)] = np.nan  # padding is not known
        parts.append(torch.from_numpy(padded).to(device))
    return torch.cat(parts)


def _fill(x: Tensor, part: LabelledSeries, scale: InputScale) -> None:
    """Scale features into their place, x (n, T, F), some series at a time, so that no second copy of all is made."""
    steps, features = x.shape[1], x.shape[2]
    for chunk in chunks(len(part.series), max(1, BYTES_PER_CHUNK // (4 * steps * features))):
        values = torch.from_numpy(part.store.features_padded(part.series[chunk], steps)).to(x.device)
        real = part.store.mask(part.series[chunk], steps)
        mask = None if real.all() else torch.from_numpy(real).to(x.device)
        x[chunk] = scale.scaled(values, mask, part.store.missing)
