"""What every network, block and head is, and the pieces that several of them need.

A **block** maps (B, T, in) to (B, T, width); a **head** maps the body's (B, T, H) to the target; a **network** is a
body of blocks. Letters: B series, T steps, F features, S static columns, H hidden width, K targets.

Contract (checked for every registered one in tests/models): any B and T; `mask` is True at real steps, or None where
all are real (which spares a look at the device); `static` holds codes or a mixture of them (see `Embed`); padding
(behind a series' end) never changes a real step's output; permuting the batch permutes the output; gradients are finite
and reach every parameter; eval mode is deterministic.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import rnn


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

    compiles: ClassVar[bool] = False  # torch.compile pays: no recurrence inside

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, in) float; mask: (B, T) bool. What stands at padded steps of the output is not defined."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What a head predicts: K targets, scaled, and for each the even grid that its training values lie on.

    Raises ValueError where a grid has no steps, or where there are grids but not one (or None) for each target.
    """

    count: int  # K
    grids: tuple[tuple[float, float, int] | None, ...] = ()  # (offset, step, count), scaled; None: no grid; (): none
    observed: int = 0  # leading steps at which the target is known, of test series too: see models/ops/known_target.py

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"A head needs at least one target, but count is {self.count}.")
        if self.observed < 0:
            raise ValueError(f"observed must not be below 0 steps, but is {self.observed}.")
        if len(self.grids) not in (0, self.count):
            raise ValueError(
                f"grids must hold a grid or None for each of the {self.count} targets, or nothing, "
                f"but holds {len(self.grids)}."
            )
        for target, grid in enumerate(self.grids):
            if grid is not None and not (grid[1] > 0 and grid[2] >= 1):
                raise ValueError(
                    f"A grid is (offset, step > 0, count >= 1), but that of target {target} is {tuple(grid)}."
                )


class Head(nn.Module, ABC):
    """From the body's (B, T, H) to raw outputs, their loss, the prediction, and how far off that may be.

    Every loss is a weighted sum over steps divided by `weight.sum()`: the mean of the losses of a batch's parts, each
    weighted by its own `weight.sum()`, is then the loss of the batch, and gradients accumulate exactly.
    """

    @abstractmethod
    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, H) -> raw outputs (B, T, P)."""

    @abstractmethod
    def loss(self, raw: Tensor, y: Tensor, weight: Tensor, mask: Tensor | None) -> Tensor:
        """The loss, a scalar; 0 where all weights are 0.

        Args:
            raw: (B, T, P) of `forward`.
            y: (B, T, K) finite, scaled.
            weight: (B, T) float32, not below 0; 0: the step is not scored.
            mask: (B, T) bool, True at real steps; None: all are.
        """

    @abstractmethod
    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        """Raw outputs (B, T, P) -> prediction (B, T, K), scaled; scored: (B, T) bool, the steps that count."""

    def spread(self, raw: Tensor) -> Tensor | None:
        """(B, T, K) expected absolute error of the prediction, scaled; None where the head has no idea of it."""
        return None


class Embed(nn.Module):
    """Learned embeddings of the static columns: (B, S) codes -> (B, S * size).

    Code 0 stands for a value unseen in training, n for a column's n-th known one. Instead of codes, a float (B, S, L)
    mixture holds weights over the codes, L the most that any column has: the embeddings are averaged by them.
    """

    def __init__(self, levels: tuple[int, ...], size: int) -> None:
        """levels: number of known values of each static column."""
        super().__init__()
        self.tables = nn.ParameterList(torch.randn(count + 1, size) for count in levels)

    def forward(self, static: Tensor) -> Tensor:
        """static: (B, S) int64 codes, or (B, S, L) float weights -> (B, S * size)."""
        if static.is_floating_point():
            parts = [static[:, column, : len(table)] @ table for column, table in enumerate(self.tables)]
        else:
            parts = [functional.embedding(static[:, column], table) for column, table in enumerate(self.tables)]
        return torch.cat(parts, dim=-1)


def recurrent(
    layer: nn.LSTM | nn.GRU, x: Tensor, mask: Tensor | None, state: Tensor | tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """(B, T, in) -> (B, T, out); padded series are packed, so that the way back starts at their own end.

    state: what the layer begins with, as torch has it: h0, or (h0, c0), each (directions, B, units); None: zeros.
    """
    if mask is None:
        out: Tensor = layer(x, state)[0]
        return out
    packed = rnn.pack_padded_sequence(x, mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False)
    return rnn.pad_packed_sequence(layer(packed, state)[0], batch_first=True, total_length=x.shape[1])[0]


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """x with zeros at padded steps, so that a window that touches padding sees what lies behind a full series' end."""
    return x if mask is None else x * mask.unsqueeze(-1)
