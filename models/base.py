"""What every network, block and head is, and the pieces that several of them need.

A **block** maps (B, T, in) to (B, T, width); a **head** maps the body's (B, T, H) to the target; a **network** is a
body of blocks. Letters: B series, T steps, F features, S static columns, H hidden width, K targets.

Contract (checked for every registered one in tests/models): any B and T; `mask` is True at real steps, or None where
all are real (which spares a look at the device); padding (behind a series' end) never changes a real step's output;
permuting the batch permutes the output; gradients are finite and reach every parameter; eval mode is deterministic.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Part:
    """An entry of a registry: the dataclass of its config table, and what makes the thing from it."""

    config: type[Any]
    make: Callable[..., Any]

    @property
    def source(self) -> Path:
        """The file it is written in; its text is part of a cell's key."""
        return Path(str(sys.modules[self.make.__module__].__file__))


@dataclass(frozen=True, kw_only=True)
class BlockConfig:
    """What every block's table may hold."""

    width: int = 64  # H, channels out
    skip: bool = True  # add the block's input to its output (through a linear map where widths differ)

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be at least 1, but is {self.width}")


class Block(nn.Module, ABC):
    """(B, T, in) -> (B, T, width). Its skip, if any, is added by the hybrid."""

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, in) float; mask: (B, T) bool. What stands at padded steps of the output is not defined."""


class Head(nn.Module, ABC):
    """From the body's (B, T, H) to raw outputs, their loss, and the prediction."""

    @abstractmethod
    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, H) -> raw outputs (B, T, P)."""

    @abstractmethod
    def loss(self, raw: Tensor, y: Tensor, scored: Tensor) -> Tensor:
        """Mean loss over the scored steps. raw: (B, T, P); y: (B, T, K), scaled; scored: (B, T) bool."""

    @abstractmethod
    def predict(self, raw: Tensor) -> Tensor:
        """Raw outputs -> prediction (B, T, K), scaled."""


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """x with zeros at padded steps, so that a window that touches padding sees what lies behind a full series' end."""
    return x if mask is None else x * mask.unsqueeze(-1)
