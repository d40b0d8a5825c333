"""Time that runs otherwise: backwards, over a slice of the series, or faster here and slower there.

Each is a map from the steps of a series to places in it, between steps perhaps; the number of steps stays. Targets of
steps, their weights and masks go with them; an answer of a whole series stays. Numbers are interpolated between
two steps that both have them; flags, one-hots and what only one of the two has come from the nearer step.

Window slicing: Le Guennec et al. 2016, https://shs.hal.science/halshs-01357973; time warp: Um et al. 2017,
https://arxiv.org/abs/1706.00527, here with speeds exp(sigma z) at the knots, so that time never runs backwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from foldline.fit.augmentation import smooth_curves
from foldline.fit.augmentation.part import Augmentation, drawn, places, real_steps, refuse_strength, there
from foldline.fit.batch import Batch
from foldline.fit.input_channels import InputChannels


@dataclass(frozen=True, kw_only=True)
class Reverse(Augmentation):
    """[train.augment.reverse]: some series from their last step to their first."""

    moves_steps: ClassVar[bool] = True

    def __call__(self, batch: Batch, channels: InputChannels) -> Batch:
        return resampled(batch, backwards(batch), drawn(batch, self.share), channels)


@dataclass(frozen=True, kw_only=True)
class WindowSlice(Augmentation):
    """[train.augment.window_slice]: a slice of some series, drawn out to their own number of steps."""

    length: float = 0.9  # of the slice, as a share of the series

    moves_steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.length <= 1:
            raise ValueError(f"length must be above 0 and at most 1, but is {self.length}")

    def __call__(self, batch: Batch, channels: InputChannels) -> Batch:
        chosen, last = drawn(batch, self.share), real_steps(batch) - 1
        first = torch.rand(len(last), device=last.device) * (1 - self.length) * last
        return resampled(batch, first[:, None] + places(batch) * self.length, chosen, channels)


@dataclass(frozen=True, kw_only=True)
class TimeWarp(Augmentation):
    """[train.augment.time_warp]: some series faster here and slower there; their ends stay."""

    sigma: float = 0.2  # deviation of the logarithm of the speed between two knots
    knots: int = 4  # between the ends of a series, which are knots, too

    moves_steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_strength("sigma", self.sigma, 10)
        smooth_curves.refuse_knots(self.knots)

    def __call__(self, batch: Batch, channels: InputChannels) -> Batch:
        chosen, last = drawn(batch, self.share), (real_steps(batch) - 1)[:, None]
        stretch = torch.expm1(self.sigma * torch.randn(len(last), self.knots + 1, device=last.device))
        at = (places(batch) / last.clamp(min=1)).clamp(max=1)
        position = places(batch) + last * smooth_curves.monotone_shift(stretch, at)
        return resampled(batch, position, chosen, channels)


def backwards(batch: Batch) -> Tensor:
    """Return the place of each step counted from the end of its series, (B, T)."""
    return (real_steps(batch) - 1)[:, None] - places(batch)


def resampled(batch: Batch, position: Tensor, chosen: Tensor, channels: InputChannels) -> Batch:
    """Take the steps of chosen series from other places.

    Args:
        position: (B, T) float places in the series; of padding any.
        chosen: (B,) bool.
    """
    own, last = places(batch), (real_steps(batch) - 1).clamp(min=0)[:, None]
    moved = chosen[:, None] if batch.mask is None else chosen[:, None] & batch.mask
    position = torch.where(moved, torch.minimum(position.clamp(min=0), last), own)
    low = position.floor()
    inside = position - low
    high = torch.where(moved, torch.minimum(low + 1, last), own)  # never a step of padding
    between = Between(low.long(), high.long(), inside)
    x = between(batch.x, there(batch.x, batch, channels) & channels.numbers)
    x = torch.where(channels.steps, x, batch.x)
    if batch.weight.shape[1] != batch.x.shape[1]:  # (B, 1): an answer of a whole series
        return replace(batch, x=x)
    known = torch.ones_like(batch.y, dtype=torch.bool) if batch.known is None else batch.known
    known = known & (~batch.scored | (batch.weight > 0)).unsqueeze(-1)  # what does not count is no truth to mix
    auxiliary = batch.auxiliary
    return replace(
        batch,
        x=x,
        y=between(batch.y, known),
        weight=between.nearest(batch.weight),
        scored=between.nearest(batch.scored),
        known=None if batch.known is None else between.nearest(batch.known),
        auxiliary=None if auxiliary is None else between(auxiliary, ~auxiliary.isnan()),
    )


@dataclass(frozen=True)
class Between:
    """Places between two steps."""

    low: Tensor  # (B, T) int64
    high: Tensor  # (B, T) int64
    inside: Tensor  # (B, T) from 0 to 1: how far from the lower one

    def __call__(self, values: Tensor, there: Tensor) -> Tensor:
        """Interpolate values (B, T, C) where both steps have them, there (B, T, C) or less; else take the nearer's."""
        there = there.expand_as(values)
        both = _taken(there, self.low) & _taken(there, self.high)
        low, high = _taken(values, self.low), _taken(values, self.high)
        mixed = torch.lerp(low, high, self.inside.unsqueeze(-1))
        return torch.where(both, mixed, self.nearest(values))

    def nearest(self, values: Tensor) -> Tensor:
        """Take values (B, T, ...) of the nearer step."""
        return _taken(values, torch.where(self.inside < 0.5, self.low, self.high))


def _taken(values: Tensor, steps: Tensor) -> Tensor:
    """Take steps (B, T) int64 of values (B, T, ...)."""
    return values.gather(1, steps if values.dim() == 2 else steps.unsqueeze(-1).expand_as(values))
