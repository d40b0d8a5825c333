"""What all recurrent blocks share: one direction or two, and the ways by which static columns enter.

`static` of a block's table, e the embeddings of a series' static columns, W and b learned:

    "none"    not at all; the hybrid may still join e to every step (`join`)
    "state"   what the recurrence begins with: h0 = W e + b, one for each state and direction (an LSTM has c0 too)
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

from foldline.models.contract import BlockConfig, recurrent
from foldline.models.ops.covariates import NOTHING, CovariateBlock, Covariates
from foldline.models.ops.initialisation import Initial, initialise
from foldline.models.ops.scan import flipped


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(BlockConfig):
    """What the table of every recurrent block may hold."""

    width: int = 128  # H, both directions together
    bidirectional: bool = True  # False: causal, a step sees itself and what came before
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
    """A block around a recurrence: static columns enter here, `run` is the recurrence itself."""

    def __init__(self, config: RecurrentConfig, inputs: int, known: int, states: int) -> None:
        """known: E, width of the embedded statics; states: state vectors of a direction, `units` long each."""
        super().__init__()
        self.route, self.states = config.static, (states, config.directions, config.units)
        size = {"none": 0, "state": math.prod(self.states), "film": 2 * config.width, "token": inputs}[config.static]
        if size and not known:
            raise ValueError(f"static = {config.static!r} needs embedded static columns, but there are none.")
        self.static = nn.Linear(known, size) if size else None

    def forward(self, x: Tensor, mask: Tensor | None, covariates: Covariates = NOTHING) -> Tensor:
        if self.static is None:
            return self.run(x, mask, None)
        entered: Tensor = self.static(covariates.statics)  # (B, size)
        if self.route == "state":
            start = entered.view(len(x), *self.states).permute(1, 2, 0, 3)  # (states, directions, B, units)
            return self.run(x, mask, start.contiguous())
        entered = entered.unsqueeze(1)  # (B, 1, size)
        if self.route == "token":
            return self.run(torch.cat([x[:, :1] + entered, x[:, 1:]], dim=1), mask, None)
        scale, shift = entered.chunk(2, dim=2)
        return self.run(x, mask, None) * (1 + scale) + shift

    @abstractmethod
    def run(self, x: Tensor, mask: Tensor | None, start: Tensor | None) -> Tensor:
        """(B, T, in) -> (B, T, width); start: (states, directions, B, units) to begin with, None: zeros."""


class CellBlock(RecurrentBlock):
    """A recurrence written here: one cell for each direction, (B, T, in) and (states, B, units) -> (B, T, units)."""

    def __init__(
        self, config: RecurrentConfig, inputs: int, known: int, states: int, cell: Callable[[], nn.Module]
    ) -> None:
        """cell: makes the module of one direction; what it begins with is None where `static` is not "state"."""
        super().__init__(config, inputs, known, states)
        self.cells = nn.ModuleList(cell() for _ in range(config.directions))

    def run(self, x: Tensor, mask: Tensor | None, start: Tensor | None) -> Tensor:
        begin = [None] * len(self.cells) if start is None else list(start.unbind(1))  # (states, B, units) each
        out: Tensor = self.cells[0](x, begin[0])
        if len(self.cells) == 1:
            return out
        return torch.cat([out, flipped(self.cells[1](flipped(x, mask), begin[1]), mask)], dim=2)


@dataclass(frozen=True, kw_only=True)
class LSTMConfig(RecurrentConfig):
    """What the tables of `lstm` and `bilstm` may hold."""

    initial: Initial = "keras"  # how the weights begin


class LSTMLayer(RecurrentBlock):
    """One `nn.LSTM` layer, of one direction or two; padded series are packed: the way back starts at their own end."""

    def __init__(self, config: LSTMConfig, inputs: int, known: int = 0) -> None:
        super().__init__(config, inputs, known, states=2)  # h0, c0
        self.lstm = nn.LSTM(inputs, config.units, batch_first=True, bidirectional=config.bidirectional)
        initialise(self.lstm, config.initial)

    def run(self, x: Tensor, mask: Tensor | None, start: Tensor | None) -> Tensor:
        return recurrent(self.lstm, x, mask, None if start is None else (start[0], start[1]))
