"""Gated recurrent unit: an LSTM's memory with two gates, update and reset, in place of three and no separate cell.

Source: Cho et al. 2014, https://arxiv.org/abs/1406.1078. Three quarters of the weights of an LSTM layer of its size.
One layer a block, so that dropout stays outside `nn.GRU` (cuDNN's own is not reproducible); stack blocks for depth.
(B, T, in) -> (B, T, width): width/2 units in each direction, or width units where it only looks back.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from models.base import Block, BlockConfig, recurrent
from models.initial import Initial, initialise


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of a `gru` block."""

    width: int = 128  # H, both directions together
    initial: Initial = "keras"  # how the weights begin
    bidirectional: bool = True  # False: causal, a step sees itself and what came before

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bidirectional and self.width % 2:
            raise ValueError(f"width must be even, half of it for each direction, but is {self.width}")

    @property
    def units(self) -> int:
        """State size of one direction."""
        return self.width // 2 if self.bidirectional else self.width


class GRU(Block):
    """One `nn.GRU` layer; padded series are packed: the backward pass starts at their last real step."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        self.gru = nn.GRU(inputs, config.units, batch_first=True, bidirectional=config.bidirectional)
        initialise(self.gru, config.initial)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return recurrent(self.gru, x, mask)
