"""Gated recurrent unit: an LSTM's memory with two gates, update and reset, in place of three and no separate cell.

Source: Cho et al. 2014, https://arxiv.org/abs/1406.1078. Three quarters of the weights of an LSTM layer of its size.
One layer a block, so that dropout stays outside `nn.GRU` (cuDNN's own is not reproducible); stack blocks for depth.
The reset gate acts on U h, as in cuDNN; in the paper on h. (B, T, in) -> (B, T, width): width/2 units in each
direction, or width units if causal.

Default: both directions, as wide as the hybrid, 64; for a whole network take 2 to 4 blocks of 256.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from foldline.models.contract import run_recurrent
from foldline.models.ops.initialisation import Initial, initialise
from foldline.models.ops.recurrence import RecurrentBlock, RecurrentConfig


@dataclass(frozen=True, kw_only=True)
class Config(RecurrentConfig):
    """Table of a `gru` block."""

    initial: Initial = "keras"  # initial weights


class GRU(RecurrentBlock):
    """One `nn.GRU` layer; padded series are packed: the backward pass starts at their last real step."""

    def __init__(self, config: Config, inputs: int, static_width: int = 0) -> None:
        super().__init__(config, inputs, static_width, states=1)
        self.gru = nn.GRU(inputs, config.units, batch_first=True, bidirectional=config.bidirectional)
        initialise(self.gru, config.initial)

    def recur(self, x: Tensor, mask: Tensor | None, start: Tensor | None) -> Tensor:
        return run_recurrent(self.gru, x, mask, None if start is None else start[0])
