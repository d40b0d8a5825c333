"""Axes that point elsewhere: rotated triplets of a sensor's axes, and signs that flip, both in the inputs' own units.

A sensor worn the other way round: Um et al. 2017, https://arxiv.org/abs/1706.00527. Of features just those that are
named change: what was computed from them (sums, lags, ...) does not follow, so give networks those columns raw, or name
all features that flip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from foldline.data.store import Store
from foldline.fit.augmentation.part import Augmentation, drawn, refuse_strength, there
from foldline.fit.augmentation.values import changed
from foldline.fit.batch import Batch
from foldline.fit.input_channels import InputChannels, check_columns


@dataclass(frozen=True, kw_only=True)
class Flip(Augmentation):
    """[train.augment.flip]: some series with other signs of named columns, all at once."""

    columns: tuple[str, ...] = ()  # features whose sign flips, about 0 in their own unit; must be given

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.share and not self.columns:
            raise ValueError('flip needs the features whose sign flips: columns = ["x"]')

    def __call__(self, batch: Batch, channels: InputChannels) -> Batch:
        return changed(batch, flipped(batch.x, channels), drawn(batch, self.share), channels, self.columns)

    def check(self, store: Store, where: str) -> None:
        check_columns(self.columns, store, where, own_unit=True)


def flipped(x: Tensor, channels: InputChannels) -> Tensor:
    """Return scaled features (B, T, C) with all signs flipped in their own units."""
    return 2 * channels.zero - x


@dataclass(frozen=True, kw_only=True)
class Rotate(Augmentation):
    """[train.augment.rotate]: the axes of some series turned about an axis that is drawn, all triplets alike."""

    axes: tuple[tuple[str, ...], ...] = ()  # triplets of features of one unit, [["acc_x", "acc_y", "acc_z"]]
    degrees: float = 30.0  # the largest angle, each way

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_strength("degrees", self.degrees, 180)
        names = [name for triplet in self.axes for name in triplet]
        if any(len(triplet) != 3 for triplet in self.axes) or len(set(names)) < len(names):
            raise ValueError(f"rotate.axes must be triplets of different features, but is {list(map(list, self.axes))}")
        if self.share and not self.axes:
            raise ValueError('rotate needs the features that are axes: axes = [["acc_x", "acc_y", "acc_z"]]')

    def __call__(self, batch: Batch, channels: InputChannels) -> Batch:
        chosen = drawn(batch, self.share)
        turned = self._beyond_identity(len(batch.x), batch.x.device)  # (B, 3, 3)
        x = batch.x.clone()
        for triplet in self.axes:
            places = channels.places(triplet)
            own, zero, unit = (_of(values, places) for values in (batch.x, channels.zero, channels.unit))
            moved = ((own - zero) / unit) @ turned.mT * unit  # (B, T, 3)
            whole = there(own, batch, channels).all(dim=-1, keepdim=True)
            turned_axes = torch.where(chosen[:, None, None] & whole, own + moved, own)
            for number, place in enumerate(places):
                x[..., place] = turned_axes[..., number]
        return replace(batch, x=x)

    def _beyond_identity(self, count: int, device: torch.device) -> Tensor:
        """Draw rotations, less the identity: (B, 3, 3). Rodrigues' formula; every axis is as likely."""
        axis = torch.nn.functional.normalize(torch.randn(count, 3, device=device), dim=1)
        angle = (2 * torch.rand(count, 1, 1, device=device) - 1) * math.radians(self.degrees)
        x, y, z = axis.unbind(dim=1)
        none = torch.zeros_like(x)
        cross = torch.stack([none, -z, y, z, none, -x, -y, x, none], dim=1).view(count, 3, 3)
        return angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)

    def check(self, store: Store, where: str) -> None:
        check_columns([name for triplet in self.axes for name in triplet], store, where, own_unit=True)


def _of(values: Tensor, places: list[int]) -> Tensor:
    """Return some channels of (..., C): no list of places has to go to a GPU for it."""
    return torch.stack([values[..., place] for place in places], dim=-1)
