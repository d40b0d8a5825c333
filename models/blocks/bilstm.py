"""Bidirectional LSTM: two passes over the series, one from each end, their states concatenated.

Source: Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735; Schuster & Paliwal 1997,
https://doi.org/10.1109/78.650093. One layer a block, so that dropout stays outside `nn.LSTM` (cuDNN's own is not
reproducible); stack blocks for depth. (B, T, in) -> (B, T, width): width/2 units in each direction.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from models.base import Block, BlockConfig, recurrent
from models.initial import Initial, initialise


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of a `bilstm` block."""

    width: int = 128  # H, both directions together
    initial: Initial = "keras"  # how the weights begin

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2:
            raise ValueError(f"width must be even, half of it for each direction, but is {self.width}")


class BiLSTM(Block):
    """One bidirectional `nn.LSTM`; padded series are packed: the backward pass starts at their last real step."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, config.width // 2, batch_first=True, bidirectional=True)
        initialise(self.lstm, config.initial)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return recurrent(self.lstm, x, mask)
