"""Long short-term memory, one causal layer: gates i, f, o and a candidate around a cell.

Source: Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735; the forget gate of Gers et al. 2000,
https://doi.org/10.1162/089976600300015015. Stack blocks for depth, as Graves 2013 (https://arxiv.org/abs/1308.0850)
does: dropout then stays outside `nn.LSTM` (cuDNN's own is not reproducible). `bilstm` runs both ways.
(B, T, in) -> (B, T, width).

Default: as wide as the hybrid, 64; for a whole network take 2 to 5 blocks of 256 to 512.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from foldline.models.ops.recurrence import LSTMConfig, LSTMLayer


@dataclass(frozen=True, kw_only=True)
class Config(LSTMConfig):
    """Table of an `lstm` block."""

    bidirectional: bool = field(default=False, init=False)


class LSTM(LSTMLayer):
    """One causal `nn.LSTM`."""
