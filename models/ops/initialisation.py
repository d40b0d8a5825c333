"""Initial weights of recurrent layers: Keras' rules, under which torch's LSTMs match Keras' own, or torch's.

Keras (https://keras.io/api/layers/recurrent_layers/lstm/): input weights Glorot uniform, recurrent weights orthogonal,
an LSTM's forget bias 1, all other biases 0. Both matrices are filled whole, all gates at once: Glorot's fan-out is that
of all gates, and all singular values of the recurrent matrix are 1. torch: everything uniform within 1 / sqrt(units).
Every recurrent layer of the models is initialised here.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Initial = Literal["keras", "torch"]


@torch.no_grad()
def initialise(layer: nn.LSTM | nn.LSTMCell | nn.GRU, how: Initial) -> None:
    """Initialise all weights and biases of a layer, every direction, in place; "torch" keeps what torch has made."""
    if how == "torch":
        return
    for name, weight in layer.named_parameters():
        if "weight_ih" in name:
            nn.init.xavier_uniform_(weight)  # (gates * units, in): fan-in is in, fan-out gates * units, as in Keras
        elif "weight_hh" in name:
            weight.copy_(orthogonal(*weight.shape))
        else:
            weight.zero_()
        # torch adds two biases, bias_ih and bias_hh: only one of them holds the 1. Gates in the order i, f, g, o.
        if "bias_ih" in name and not isinstance(layer, nn.GRU):
            weight[layer.hidden_size : 2 * layer.hidden_size] = 1.0


def orthogonal(rows: int, units: int) -> Tensor:
    """Draw a (rows, units) recurrent matrix of all gates, rows >= units: its columns are orthonormal."""
    return nn.init.orthogonal_(torch.empty(rows, units))
