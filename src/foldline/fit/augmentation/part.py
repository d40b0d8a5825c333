"""What all parts of [train.augment] share: a table of their own, a share of the series, and one method.

B series, T steps, C channels of a network's input.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from foldline.data.store import Store
from foldline.fit.batch import Batch
from foldline.fit.input_channels import InputChannels, check_columns

LARGEST = 1_000_000.0  # of strengths: generous, so that only slips are refused


@dataclass(frozen=True, kw_only=True)
class Augmentation(ABC):
    """One part of [train.augment]; off as it comes."""

    share: float = 0.0  # of the series of a batch that it changes; 0: off

    moves_steps: ClassVar[bool] = False  # whether a step's place in its series changes
    mixes: ClassVar[bool] = False  # whether series get parts of others

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must be a share from 0 to 1, but is {self.share}")

    @abstractmethod
    def __call__(self, batch: Batch, channels: InputChannels) -> Batch:
        """Change some series of a batch; all is drawn from torch's generator of the device. Padding stays 0."""

    def check(self, store: Store, where: str) -> None:
        """Refuse what a store's features lack.

        Raises:
            UserError
        """
        check_columns(getattr(self, "columns", ()), store, where)


def refuse_strength(name: str, value: float, largest: float = LARGEST) -> None:
    """Refuse a strength out of its range.

    Raises:
        ValueError
    """
    if not 0 <= value <= largest:
        raise ValueError(f"{name} must be from 0 to {largest:,g}, but is {value:,g}")


def drawn(batch: Batch, share: float) -> Tensor:
    """Draw which series are changed, (B,) bool: each with probability `share`."""
    return torch.rand(len(batch.x), device=batch.x.device) < share


def real_steps(batch: Batch) -> Tensor:
    """Return how many steps of each series are real, (B,) float32."""
    if batch.mask is None:
        return torch.full((len(batch.x),), float(batch.x.shape[1]), device=batch.x.device)
    return batch.mask.sum(dim=1).float()


def places(batch: Batch) -> Tensor:
    """Return 0, 1, 2, ... for the steps, (T,) float32."""
    return torch.arange(batch.x.shape[1], device=batch.x.device, dtype=torch.float32)


def there(x: Tensor, batch: Batch, channels: InputChannels) -> Tensor:
    """Return which values may be changed, (B, T, C) bool or less: real ones that are not missing.

    What is missing is 0 once scaled. A value that is 0 by itself passes for missing where any may be: it lies in the
    middle of its feature, where nothing scales it, and only noise is lost.
    """
    real = torch.ones(1, 1, 1, dtype=torch.bool, device=x.device) if batch.mask is None else batch.mask.unsqueeze(-1)
    return real & (x != 0) if channels.missing else real
