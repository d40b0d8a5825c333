"""minGRU: a GRU whose gate and candidate depend on the input only, so that all steps can be trained at once.

Source: Feng et al. 2024, "Were RNNs All We Needed?", https://arxiv.org/abs/2410.01201 (section 3.1, appendix B).
z_t = sigmoid(W x_t), c_t = g(V x_t), h_t = (1 - z_t) h_{t-1} + z_t c_t: linear in h, hence a parallel scan (scan.py),
log T deep where a GRU is T deep. Gates do not depend on the past, except through the layers below: stack two or more.
(B, T, in) -> (B, T, width): width/2 units in each direction, or width units if causal, as published.

Default: both directions, as wide as the hybrid, 64.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from foldline.models.ops.recurrence import CellBlock, RecurrentConfig
from foldline.models.ops.scan import gated_recurrence


@dataclass(frozen=True, kw_only=True)
class Config(RecurrentConfig):
    """Table of a `mingru` block."""


class Cell(nn.Module):
    """One direction: (B, T, in) -> (B, T, units)."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.project = nn.Linear(inputs, 2 * units)  # gate, candidate

    def forward(self, x: Tensor, start: Tensor | None) -> Tensor:
        """start: (1, B, units), h before the first step."""
        gate, candidate = self.project(x).chunk(2, dim=2)
        return gated_recurrence(gate, candidate, None if start is None else start[0])


class MinGRU(CellBlock):
    """One cell for each direction."""

    def __init__(self, config: Config, inputs: int, static_width: int = 0) -> None:
        super().__init__(config, inputs, static_width, 1, lambda: Cell(inputs, config.units))
