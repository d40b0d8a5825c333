"""Bidirectional LSTM: two passes over the series, one from each end, their states concatenated.

Source: Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735; Schuster & Paliwal 1997,
https://doi.org/10.1109/78.650093. One layer a block, so that dropout stays outside `nn.LSTM` (cuDNN's own is not
reproducible); stack blocks for depth. (B, T, in) -> (B, T, width): width/2 units in each direction.

Default: as wide as the hybrid, 64. On the 9 raw inputs the competition's teams used 4 blocks of 512 units a direction.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from foldline.models.ops.recurrence import LSTMConfig, LSTMLayer


@dataclass(frozen=True, kw_only=True)
class Config(LSTMConfig):
    """Table of a `bilstm` block."""

    bidirectional: bool = field(default=True, init=False)


class BiLSTM(LSTMLayer):
    """One bidirectional `nn.LSTM`."""
