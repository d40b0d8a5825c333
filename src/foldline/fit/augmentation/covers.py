"""Parts of series that are covered: a stretch of steps, or whole features. What is covered is its feature's centre.

Cutout: DeVries & Taylor 2017, https://arxiv.org/abs/1708.04552. Whole sensors, with the flags that say so, are
dropped by `drop_channels` (fit/channel_dropout.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from foldline.fit.augmentation.part import Augmentation, drawn, places, real_steps, refuse_strength
from foldline.fit.augmentation.values import changed
from foldline.fit.batch import Batch
from foldline.fit.input_channels import InputChannels


@dataclass(frozen=True, kw_only=True)
class Cutout(Augmentation):
    """[train.augment.cutout]: a stretch of some series, in which features are at their centre; targets stay."""

    length: float = 0.1  # of the stretch, as a share of the series
    columns: tuple[str, ...] = ()  # features that it covers; empty: all that are numbers at each step

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_strength("length", self.length, 1)

    def __call__(self, batch: Batch, channels: InputChannels) -> Batch:
        chosen, steps = drawn(batch, self.share), real_steps(batch)
        first = torch.rand(len(steps), device=steps.device) * steps * (1 - self.length)
        inside = stretch(places(batch), first, self.length * steps)
        covered = torch.where(inside.unsqueeze(-1), 0.0, batch.x)
        return changed(batch, covered, chosen, channels, self.columns)


@dataclass(frozen=True, kw_only=True)
class DropFeatures(Augmentation):
    """[train.augment.drop_features]: some series without some features, which are at their centre at all steps."""

    rate: float = 0.1  # probability of each feature, in a series that is chosen
    columns: tuple[str, ...] = ()  # features that it may drop; empty: all that are numbers at each step

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_strength("rate", self.rate, 1)

    def __call__(self, batch: Batch, channels: InputChannels) -> Batch:
        chosen = drawn(batch, self.share)
        dropped = torch.rand(len(batch.x), 1, batch.x.shape[2], device=batch.x.device) < self.rate
        return changed(batch, torch.where(dropped, 0.0, batch.x), chosen, channels, self.columns)


def stretch(place: torch.Tensor, first: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """Return which steps lie in a stretch, (B, T) bool. place: (T,); first, width: (B,) in steps, not whole ones."""
    first = first.round()[:, None]
    return (place >= first) & (place < first + width.round()[:, None])
