"""minLSTM: an LSTM whose gates and candidate depend on the input only, so that all steps can be trained at once.

Source: Feng et al. 2024, "Were RNNs All We Needed?", https://arxiv.org/abs/2410.01201 (section 3.2, appendix B).
f_t = sigmoid(W x_t), i_t = sigmoid(U x_t), c_t = g(V x_t), h_t = f/(f+i) h_{t-1} + i/(f+i) c_t: no cell, no output
gate, and the two gates share 1 between them, so that the state keeps its scale at any length. As i/(f+i) is the sigmoid
of log i - log f, it is minGRU's recurrence with a gate of two maps. (B, T, in) -> (B, T, width): width/2 units in each
direction, or width units if causal, as published.

Default: both directions, as wide as the hybrid, 64.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from foldline.models.ops.recurrence import CellBlock, RecurrentConfig
from foldline.models.ops.scan import gated_recurrence


@dataclass(frozen=True, kw_only=True)
class Config(RecurrentConfig):
    """Table of a `minlstm` block."""


class Cell(nn.Module):
    """One direction: (B, T, in) -> (B, T, units)."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.project = nn.Linear(inputs, 3 * units)  # forget gate, input gate, candidate

    def forward(self, x: Tensor, start: Tensor | None) -> Tensor:
        """start: (1, B, units), h before the first step."""
        forget, write, candidate = self.project(x).float().chunk(3, dim=2)
        share = functional.logsigmoid(write) - functional.logsigmoid(forget)
        return gated_recurrence(share, candidate, None if start is None else start[0])


class MinLSTM(CellBlock):
    """One cell for each direction."""

    def __init__(self, config: Config, inputs: int, static_width: int = 0) -> None:
        super().__init__(config, inputs, static_width, 1, lambda: Cell(inputs, config.units))
