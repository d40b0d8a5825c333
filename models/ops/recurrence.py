"""Base classes of the recurrent blocks: one direction or two, and the ways by which static columns enter.

`static` of a block's table, e the embeddings of a series' static columns, W and b learned:

    "none"    not at all; the hybrid may still join e to every step (`join`)
    "state"   the initial state: h0 = W e + b, one for each state and direction (an LSTM has c0 too)
    "film"    every step's output, scaled and shifted: y (1 + W e + b) + V e + c; https://arxiv.org/abs/1709.07871
    "token"   added to the first step's input: x_0 + W e + b

With zero W and b each of them is the plain recurrence.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from foldline.models.contract import BlockConfig, run_recurrent
from foldline.models.ops.covariates import NO_COVARIATES, CovariateBlock, Covariates
from foldline.models.ops.initialisation import Initial, initialise
from foldline.models.ops.scan import reversed_steps


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(BlockConfig):
    """Fields of every recurrent block's table."""

    width: int = 128  # H, both directions together
    bidirectional: bool = True  # False: causal, an output depends on its own and earlier steps
    static: Literal["none", "state", "film", "token"] = "none"  # how static columns enter

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bidirectional and self.width % 2:
            raise ValueError(f"width must be even, half of it for each direction, but is {self.width}")

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def units(self) -> int:
        """State size of one direction."""
        return self.width // self.directions

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on."""
        return math.inf, math.inf if self.bidirectional else 0


class RecurrentBlock(CovariateBlock):
    """A block around a recurrence: static columns enter here, `recur` is the recurrence itself."""

    def __init__(self, config: RecurrentConfig, inputs: int, static_width: int, states: int) -> None:
        """static_width: E, width of the embedded statics; states: state vectors of a direction, `units` long each."""
        super().__init__()
        self.route, self.states = config.static, (states, config.directions, config.units)
        size = {"none": 0, "state": math.prod(self.states), "film": 2 * config.width, "token": inputs}[config.static]
        if size and not static_width:
            raise ValueError(f"static = {config.static!r} needs embedded static columns, but there are none.")
        self.static = nn.Linear(static_width, size) if size else None

    def forward(self, x: Tensor, mask: Tensor | None, covariates: Covariates = NO_COVARIATES) -> Tensor:
        if self.static is None:
            return self.recur(x, mask, None)
        projected: Tensor = self.static(covariates.statics)  # (B, size)
        if self.route == "state":
            start = projected.view(len(x), *self.states).permute(1, 2, 0, 3)  # (states, directions, B, units)
            return self.recur(x, mask, start.contiguous())
        projected = projected.unsqueeze(1)  # (B, 1, size)
        if self.route == "token":
            return self.recur(torch.cat([x[:, :1] + projected, x[:, 1:]], dim=1), mask, None)
        scale, shift = projected.chunk(2, dim=2)
        return self.recur(x, mask, None) * (1 + scale) + shift

    @abstractmethod
    def recur(self, x: Tensor, mask: Tensor | None, start: Tensor | None) -> Tensor:
        """(B, T, in) -> (B, T, width); start: initial states (states, directions, B, units), None: zeros."""


class CellBlock(RecurrentBlock):
    """A recurrence that torch lacks: one cell a direction, (B, T, in) and (states, B, units) -> (B, T, units)."""

    def __init__(
        self, config: RecurrentConfig, inputs: int, static_width: int, states: int, cell: Callable[[], nn.Module]
    ) -> None:
        """cell: makes the module of one direction; its initial state is None where `static` is not "state"."""
        super().__init__(config, inputs, static_width, states)
        self.cells = nn.ModuleList(cell() for _ in range(config.directions))

    def recur(self, x: Tensor, mask: Tensor | None, start: Tensor | None) -> Tensor:
        starts = [None] * len(self.cells) if start is None else list(start.unbind(1))  # (states, B, units) each
        out: Tensor = self.cells[0](x, starts[0])
        if len(self.cells) == 1:
            return out
        return torch.cat([out, reversed_steps(self.cells[1](reversed_steps(x, mask), starts[1]), mask)], dim=2)


@dataclass(frozen=True, kw_only=True)
class LSTMConfig(RecurrentConfig):
    """Fields of the tables of `lstm` and `bilstm`."""

    initial: Initial = "keras"  # initial weights


class LSTMLayer(RecurrentBlock):
    """One `nn.LSTM` layer, of one direction or two; the backward pass of a padded series starts at its own end."""

    def __init__(self, config: LSTMConfig, inputs: int, static_width: int = 0) -> None:
        super().__init__(config, inputs, static_width, states=2)  # h0, c0
        self.lstm = nn.LSTM(inputs, config.units, batch_first=True, bidirectional=config.bidirectional)
        initialise(self.lstm, config.initial)

    def recur(self, x: Tensor, mask: Tensor | None, start: Tensor | None) -> Tensor:
        return run_recurrent(self.lstm, x, mask, None if start is None else (start[0], start[1]))
