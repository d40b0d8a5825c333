"""Series on the device, whole, scaled and cropped: batches are an index, there is no DataLoader.

Letters as in models/contract.py: N series, T steps (cropped), F features, S static columns, K targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from foldline.core.errors import UserError
from foldline.data.store import Dense
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.scaler import Scaler

BYTES_PER_CHUNK = 256 << 20  # features scaled and sent to the device at once


@dataclass(frozen=True)
class Batch:
    """What a step learns from."""

    x: Tensor  # (B, T, F) float32, scaled
    static: Tensor  # (B, S) int64 codes, or (B, S, L) float weights over codes where statics are mixed
    mask: Tensor | None  # (B, T) bool, real steps; None where all are
    y: Tensor  # (B, T, K) float32, scaled
    weight: Tensor  # (B, T) float32

    def parts(self, size: int) -> list[Batch]:
        """The batch in pieces of at most `size` series; 0: in one piece."""
        if not 0 < size < len(self.x):
            return [self]
        fields = {name: value for name, value in vars(self).items() if value is not None}
        pieces = zip(*(value.split(size) for value in fields.values()), strict=True)
        return [replace(self, **dict(zip(fields, piece, strict=True))) for piece in pieces]


@dataclass(frozen=True)
class DeviceDataset:
    """N series on the device."""

    x: Tensor  # (N, T, F) float32, scaled; known target behind the features (models/ops/known_target.py)
    static: Tensor  # (N, S) int64
    mask: Tensor | None  # (N, T) bool; None where all steps are real
    y: Tensor  # (N, T, K) float32, scaled
    weight: Tensor  # (N, T) float32
    hidden: Tensor  # (F,) float32: the scaled value of a feature whose static columns are hidden; NaN: not made of any
    codes: int  # L, number of codes of the static column with most of them

    def batch(self, index: Tensor) -> Batch:
        """Some series. index: (B,) int64 on the device."""
        mask = None if self.mask is None else self.mask[index]
        return Batch(self.x[index], self.static[index], mask, self.y[index], self.weight[index])

    def __len__(self) -> int:
        return len(self.x)


def place(labelled_sets: Sequence[LabelledSeries], scaler: Scaler, steps: int, device: torch.device) -> DeviceDataset:
    """Bring labelled_sets to the device, one after the other, as one set of series of `steps` steps.

    Raises:
        UserError: its memory is full.
    """
    try:
        return _placed(labelled_sets, scaler, steps, device)
    except torch.OutOfMemoryError:
        pass  # out of the handler first: the error's traceback holds what was placed by then
    count = sum(len(part.series) for part in labelled_sets)
    size = 4 * count * steps * labelled_sets[0].dense.channels / 2**30
    raise UserError(
        f"The device's memory is full before the first pass: {count} series of {steps} steps with all their features "
        f"take {size:.1f} GiB. Crop more steps (train.margin), leave out feature families, or train fewer cells at "
        "once (executor.together)."
    )


def _placed(labelled_sets: Sequence[LabelledSeries], scaler: Scaler, steps: int, device: torch.device) -> DeviceDataset:
    count = sum(len(part.series) for part in labelled_sets)
    features, channels = len(labelled_sets[0].dense.names), labelled_sets[0].dense.channels
    targets = labelled_sets[0].y.shape[2]
    x = torch.zeros(count, steps, channels, device=device)
    mask = torch.zeros(count, steps, dtype=torch.bool, device=device)
    y = torch.zeros(count, steps, targets, device=device)
    weight = torch.zeros(count, steps, device=device)
    center, inverse = _tensor(scaler.center, device), _tensor(1 / scaler.scale, device)
    first = 0
    for part in labelled_sets:
        last, kept = first + len(part.series), min(steps, part.dense.x.shape[1])
        _fill(x[first:last, :kept, :features], part, center, inverse)
        if part.dense.observed is not None:
            _fill_known(x[first:last, :kept, features:], part, scaler)
        mask[first:last, :kept] = torch.from_numpy(part.dense.mask[part.series, :kept]).to(device)
        y[first:last, :kept] = _tensor((part.y[:, :kept] - scaler.y_center) / scaler.y_scale, device)
        weight[first:last, :kept] = torch.from_numpy(part.weight[:, :kept]).to(device)
        first = last
    static = torch.cat([torch.from_numpy(part.dense.static[part.series]) for part in labelled_sets]).to(device)
    of_static = torch.tensor(labelled_sets[0].dense.of_static, device=device)
    hidden = torch.full((channels,), torch.nan, device=device)
    hidden[:features] = torch.where(of_static, -center * inverse, torch.nan)
    return DeviceDataset(
        x=x,
        static=static,
        mask=None if bool(mask.all()) else mask,
        y=y,
        weight=weight,
        hidden=hidden,
        codes=1 + max(labelled_sets[0].dense.levels, default=0),
    )


def _fill(x: Tensor, part: LabelledSeries, center: Tensor, inverse: Tensor) -> None:
    """Scale a labelled's features into their place, in pieces that fit anywhere."""
    kept = x.shape[1]
    rows = max(1, BYTES_PER_CHUNK // (4 * part.dense.x.shape[1] * part.dense.x.shape[2]))
    for begin in range(0, len(part.series), rows):
        piece = np.ascontiguousarray(part.dense.x[part.series[begin : begin + rows], :kept])
        x[begin : begin + rows] = (torch.from_numpy(piece).to(x.device) - center) * inverse


def _fill_known(x: Tensor, part: LabelledSeries, scaler: Scaler) -> None:
    """Known target, scaled, and 1 where it is known: x (n, T, K + 1), zeros until now."""
    assert part.dense.observed is not None, "series with a known start are needed"
    steps = min(x.shape[1], part.dense.observed.shape[1])
    real = part.dense.mask[part.series, :steps, None]
    value = (part.dense.observed[part.series, :steps] - scaler.y_center) / scaler.y_scale * real
    x[:, :steps] = _tensor(np.concatenate([value, real], axis=2), x.device)


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32)).to(device)


def kept_steps(margin: int, dense: Dense) -> int:
    """T after cropping: up to the last scored step of any series, and `margin` more; -1 keeps all."""
    if margin < 0:
        return int(dense.x.shape[1])
    last = int(np.flatnonzero(dense.scored.any(axis=0))[-1])
    return min(last + 1 + margin, int(dense.x.shape[1]))
