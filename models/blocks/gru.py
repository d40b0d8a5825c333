"""Gated recurrent unit: an LSTM's memory with two gates, update and reset, in place of three and no separate cell.

Source: Cho et al. 2014, https://arxiv.org/abs/1406.1078. Three quarters of the weights of an LSTM layer of its size.
One layer a block, so that dropout stays outside `nn.GRU` (cuDNN's own is not reproducible); stack blocks for depth.
(B, T, in) -> (B, T, width): width/2 units in each direction, or width units where it only looks back.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import rnn

from models.base import Block, BlockConfig


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of a `gru` block."""

    width: int = 128  # H, both directions together
    bidirectional: bool = True  # False: causal, a step sees itself and what came before

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bidirectional and self.width % 2:
            raise ValueError(f"width must be even, half of it for each direction, but is {self.width}")

    @property
    def units(self) -> int:
        """State size of one direction."""
        return self.width // 2 if self.bidirectional else self.width


@torch.no_grad()
def keras_gru(gru: nn.GRU) -> None:
    """Initialise in place as `models.initial` does an LSTM: Xavier input, orthogonal recurrent weights, biases 0."""
    for name, weight in gru.named_parameters():
        if "bias" in name:
            weight.zero_()
            continue
        start = nn.init.orthogonal_ if "weight_hh" in name else nn.init.xavier_uniform_
        for gate in weight.chunk(3):  # reset, update, candidate
            start(gate)


class GRU(Block):
    """One `nn.GRU` layer; padded series are packed: the backward pass starts at their last real step."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        self.gru = nn.GRU(inputs, config.units, batch_first=True, bidirectional=config.bidirectional)
        keras_gru(self.gru)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            out: Tensor = self.gru(x)[0]  # (B, T, width)
            return out
        packed = rnn.pack_padded_sequence(x, mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False)
        return rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=x.shape[1])[0]
