"""Bidirectional LSTM: two passes over the series, one from each end, their states concatenated.

Source: Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735; Schuster & Paliwal 1997,
https://doi.org/10.1109/78.650093. One layer a block, so that dropout stays outside `nn.LSTM` (cuDNN's own is not
reproducible); stack blocks for depth. (B, T, in) -> (B, T, width): width/2 units in each direction.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.utils import rnn

from models.base import Block, BlockConfig
from models.initial import keras_lstm


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of a `bilstm` block."""

    width: int = 128  # H, both directions together

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2:
            raise ValueError(f"width must be even, half of it for each direction, but is {self.width}")


class BiLSTM(Block):
    """One bidirectional `nn.LSTM`; padded series are packed: the backward pass starts at their last real step."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, config.width // 2, batch_first=True, bidirectional=True)
        keras_lstm(self.lstm)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            out: Tensor = self.lstm(x)[0]  # (B, T, width)
            return out
        packed = rnn.pack_padded_sequence(x, mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False)
        return rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]
