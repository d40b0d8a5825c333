"""How recurrent layers begin: as Keras has it, which let torch's LSTMs match the competition's Keras ones, or as torch.

Keras: input weights Xavier uniform, recurrent weights orthogonal, an LSTM's forget bias 1, other biases 0
(https://keras.io/api/layers/recurrent_layers/lstm/). torch: everything uniform within 1 / sqrt(units).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

Initial = Literal["keras", "torch"]


@torch.no_grad()
def initialise(layer: nn.LSTM | nn.GRU, how: Initial) -> None:
    """Initialise every layer and direction in place; "torch" leaves what torch has made."""
    if how == "torch":
        return
    gates = 4 if isinstance(layer, nn.LSTM) else 3  # i, f, g, o; reset, update, candidate
    for name, weight in layer.named_parameters():
        if "weight" in name:
            start = nn.init.orthogonal_ if "weight_hh" in name else nn.init.xavier_uniform_
            for gate in weight.chunk(gates):
                start(gate)
            continue
        weight.zero_()
        if gates == 4 and "bias_ih" in name:  # torch adds two biases: only one of them holds the 1
            weight[layer.hidden_size : 2 * layer.hidden_size] = 1.0
