"""Pieces of other series: CutMix, along time.

Yun et al. 2019, https://arxiv.org/abs/1905.04899. Steps are copied to where they stood, with their targets, weights and
masks; features of static columns stay those of the series. An answer of a whole series is mixed by the share of its
steps that were copied: every head takes mixed truths (models/heads/).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from foldline.fit.augmentation.covers import stretch
from foldline.fit.augmentation.part import Augmentation, drawn, places, real_steps, refuse_strength
from foldline.fit.batch import Batch
from foldline.fit.input_channels import InputChannels


@dataclass(frozen=True, kw_only=True)
class CutMix(Augmentation):
    """[train.augment.cutmix]: some series with a stretch of another series of the batch."""

    longest: float = 0.5  # that a stretch may be, as a share of the series; it is drawn evenly from 0 to that

    mixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_strength("longest", self.longest, 1)

    def __call__(self, batch: Batch, channels: InputChannels) -> Batch:
        chosen, steps, device = drawn(batch, self.share), real_steps(batch), batch.x.device
        other = torch.randperm(len(batch.x), device=device)
        length, where = torch.rand(2, len(batch.x), device=device)
        width = self.longest * length * steps
        copied = chosen[:, None] & stretch(places(batch), where * (steps - width), width)  # (B, T)
        if batch.mask is not None:
            copied = copied & batch.mask & batch.mask[other]
        x = torch.where(copied.unsqueeze(-1) & channels.steps, batch.x[other], batch.x)
        if batch.weight.shape[1] != batch.x.shape[1]:
            return _mixed_answers(replace(batch, x=x), other, copied.float().sum(dim=1) / steps.clamp(min=1))
        return _copied_answers(replace(batch, x=x), other, copied)


def _copied_answers(batch: Batch, other: Tensor, copied: Tensor) -> Batch:
    """Copy what steps have beside features. other: (B,) series that they come from; copied: (B, T) bool."""

    def copy(values: Tensor) -> Tensor:
        return torch.where(copied if values.dim() == 2 else copied.unsqueeze(-1), values[other], values)

    return replace(
        batch,
        y=copy(batch.y),
        weight=copy(batch.weight),
        scored=copy(batch.scored),
        known=None if batch.known is None else copy(batch.known),
        auxiliary=None if batch.auxiliary is None else copy(batch.auxiliary),
    )


def _mixed_answers(batch: Batch, other: Tensor, share: Tensor) -> Batch:
    """Mix answers of whole series, (B, 1, ...). other: as above; share: (B,) of their steps. Both must have one."""
    share = share[:, None, None]
    mixed = share > 0

    def mix(values: Tensor) -> Tensor:
        return torch.where(mixed, torch.lerp(values, values[other], share), values)

    least = torch.minimum(batch.weight, batch.weight[other])
    return replace(
        batch,
        y=mix(batch.y),
        weight=torch.where(mixed[..., 0], least, batch.weight),
        scored=batch.scored & (batch.scored[other] | ~mixed[..., 0]),
        known=None if batch.known is None else batch.known & (batch.known[other] | ~mixed),
        auxiliary=None if batch.auxiliary is None else mix(batch.auxiliary),
    )
