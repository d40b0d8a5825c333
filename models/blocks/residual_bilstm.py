"""Residual bi-LSTM: a bi-LSTM that doubles the width, a feed-forward net that brings it back, and a skip around both.

Source: the 1st-place team of the Ventilator Pressure Prediction, 2021, network B
(whole: models/systems/first_place.py).
x + FFN(bi-LSTM(x)): d -> 2d by the two directions of d units each -> 4d -> ReLU -> d. With zero weights it is the
identity. (B, T, in) -> (B, T, width), through a linear map in front where the width changes.

Default: as wide as the hybrid, 64. The published network stacks 3 of them, 256 wide.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from foldline.models.contract import run_recurrent
from foldline.models.ops.initialisation import Initial, initialise
from foldline.models.ops.recurrence import RecurrentBlock, RecurrentConfig


@dataclass(frozen=True, kw_only=True)
class Config(RecurrentConfig):
    """Table of a `residual-bilstm` block."""

    skip: bool = False  # the hybrid's; the block has its own
    bidirectional: bool = field(default=True, init=False)
    initial: Initial = "keras"  # initial weights

    @property
    def units(self) -> int:
        """State size of one direction: the whole width."""
        return self.width


class ResidualBiLSTM(RecurrentBlock):
    """x + FFN(bi-LSTM(x)). Padded series are packed: the backward pass starts at their last real step."""

    def __init__(self, config: Config, inputs: int, static_width: int = 0) -> None:
        super().__init__(config, inputs, static_width, states=2)  # h0, c0
        width = config.width
        self.project_in = nn.Linear(inputs, width) if inputs != width else nn.Identity()
        self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.ffn = nn.Sequential(nn.Linear(2 * width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        initialise(self.lstm, config.initial)

    def recur(self, x: Tensor, mask: Tensor | None, start: Tensor | None) -> Tensor:
        x = self.project_in(x)
        hidden = run_recurrent(self.lstm, x, mask, None if start is None else (start[0], start[1]))  # (B, T, 2 width)
        out: Tensor = x + self.ffn(hidden)
        return out
