"""Values as networks see them, however batches are made (device_dataset.py, indexed_dataset.py): scaled, gaps filled.

F features, C channels of a network's input: features, and those of a known start, if any, behind them. K targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from foldline.data.store import Store
from foldline.fit import channel_dropout, input_channels
from foldline.fit.input_channels import InputChannels
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.missing_steps import forward_filled_tensor
from foldline.fit.scaler import Scaler


class InputScale:
    """The scale of a network's input on a device, and what stands there for what is hidden or dropped."""

    hidden: Tensor  # (C,) float32, scaled value of each feature whose static columns are hidden; NaN: made from none
    codes: int  # L, number of codes of the static column with most of them
    absent: dict[str, Tensor]  # (C,) float32 of each channel of data.channels, scaled values without it; NaN: not of it

    def __init__(self, store: Store, scaler: Scaler, device: torch.device) -> None:
        self.fill = scaler.fill
        # The reciprocal in float64: a multiplication by it is cheaper than a division at every value.
        self._center, self._inverse = (
            torch.from_numpy(values.astype(np.float32)).to(device) for values in (scaler.center, 1 / scaler.scale)
        )
        of_static = torch.tensor(store.of_static, device=device)
        self.hidden = torch.full((store.channels,), torch.nan, device=device)
        self.hidden[: len(store.names)] = torch.where(of_static, -self._center * self._inverse, torch.nan)
        self.codes = 1 + max(store.levels, default=0)
        self.absent = channel_dropout.scaled(store, self._center, self._inverse)
        self._store = store

    @cached_property
    def channels(self) -> InputChannels:
        """What stands where in the input; only augmentation asks for it."""
        return input_channels.of_store(self._store, self._center, self._inverse)

    def scaled(self, x: Tensor, mask: Tensor | None, missing: bool) -> Tensor:
        """Scale features (B, T, F). Padding is 0 like the mean of a feature; so is what is missing, unless filled.

        Args:
            mask: (B, T) bool, real steps; None: all are.
            missing: whether any may be missing.
        """
        if missing and self.fill == "forward":
            x = forward_filled_tensor(x)
        x = (x - self._center) * self._inverse
        if missing:
            x.nan_to_num_(nan=0.0)
        return x if mask is None else x.masked_fill_(~mask.unsqueeze(-1), 0.0)


def targets(part: LabelledSeries, scaler: Scaler) -> np.ndarray:
    """Scale the targets of labelled series, (a, K) float32; 0 where they are not known."""
    # In float64, before the cast: the difference of two large close numbers loses digits in float32.
    return np.where(part.known, (part.y - scaler.y_center) / scaler.y_scale, 0.0).astype(np.float32)


def shown(part: LabelledSeries) -> np.ndarray:
    """Return which answers of labelled series a network sees as a known start, (a,) bool."""
    return np.asarray(part.in_start & part.known.all(axis=1))


def auxiliary(labelled_sets: Sequence[LabelledSeries], scaler: Scaler) -> list[np.ndarray] | None:
    """Scale auxiliary targets of each set, (a, columns) float32; NaN where not known, as of a table without them.

    None where nothing learns them: a pre-trained cell has the scales of its first series, which have none.
    """
    if not scaler.auxiliary or all(part.store.auxiliary_y is None for part in labelled_sets):
        return None
    center, scale = (np.concatenate([getattr(each, name) for each in scaler.auxiliary]) for name in ("center", "scale"))
    found = []
    for part in labelled_sets:
        answers, own = part.store.answers(part.series), part.store.auxiliary_y
        values = np.full((len(answers), len(center)), np.nan) if own is None else (own[answers] - center) / scale
        found.append(values.astype(np.float32))
    return found
