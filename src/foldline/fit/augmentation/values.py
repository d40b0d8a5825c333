"""Values that waver: noise, another gain, a gain that drifts.

Terry Taewoong Um et al. 2017, https://arxiv.org/abs/1706.00527: jitter, scaling, magnitude warp. Strengths are of
scaled features: 1 is a feature's own spread (features.scaler), and a gain is about its centre, not about its zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from foldline.fit.augmentation import smooth_curves
from foldline.fit.augmentation.part import Augmentation, drawn, places, real_steps, refuse_strength, there
from foldline.fit.batch import Batch
from foldline.fit.input_channels import InputChannels


@dataclass(frozen=True, kw_only=True)
class Jitter(Augmentation):
    """[train.augment.jitter]: noise on every value of some series."""

    sigma: float = 0.05  # deviation of the noise, in the spread of a feature
    columns: tuple[str, ...] = ()  # features that it changes; empty: all that are numbers at each step

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_strength("sigma", self.sigma)

    def __call__(self, batch: Batch, channels: InputChannels) -> Batch:
        chosen, noise = drawn(batch, self.share), torch.randn_like(batch.x)
        return changed(batch, batch.x + self.sigma * noise, chosen, channels, self.columns)


@dataclass(frozen=True, kw_only=True)
class Scale(Augmentation):
    """[train.augment.scale]: each feature of some series times a number, about its centre."""

    sigma: float = 0.1  # deviation of that number, whose mean is 1
    columns: tuple[str, ...] = ()  # features that it changes; empty: all that are numbers at each step

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_strength("sigma", self.sigma)

    def __call__(self, batch: Batch, channels: InputChannels) -> Batch:
        chosen, noise = drawn(batch, self.share), torch.randn_like(batch.x[:, :1])  # (B, 1, C)
        return changed(batch, batch.x * (1 + self.sigma * noise), chosen, channels, self.columns)


@dataclass(frozen=True, kw_only=True)
class MagnitudeWarp(Augmentation):
    """[train.augment.magnitude_warp]: each feature of some series times a smooth curve about 1."""

    sigma: float = 0.2  # deviation of the curve at its knots
    knots: int = 4  # between the ends of a series, which are knots, too
    columns: tuple[str, ...] = ()  # features that it changes; empty: all that are numbers at each step

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_strength("sigma", self.sigma)
        smooth_curves.refuse_knots(self.knots)

    def __call__(self, batch: Batch, channels: InputChannels) -> Batch:
        chosen, (count, _, width) = drawn(batch, self.share), batch.x.shape
        knots = self.sigma * torch.randn(count, self.knots + 2, width, device=batch.x.device)
        at = places(batch) / (real_steps(batch) - 1).clamp(min=1)[:, None]  # (B, T), 0 to 1 over real steps
        curves = smooth_curves.spline(knots, at.clamp(max=1))
        return changed(batch, batch.x * (1 + curves), chosen, channels, self.columns)


def changed(batch: Batch, x: Tensor, chosen: Tensor, channels: InputChannels, columns: tuple[str, ...]) -> Batch:
    """Take new values (B, T, C) of chosen series, (B,) bool, in some features, where values are real and there."""
    cover = chosen[:, None, None] & channels.chosen(columns) & there(batch.x, batch, channels)
    return replace(batch, x=torch.where(cover, x, batch.x))
