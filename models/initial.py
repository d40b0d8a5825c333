"""Initialisation as Keras does it: what let PyTorch LSTMs match the competition's Keras ones.

Input weights Xavier uniform, recurrent weights orthogonal, forget bias 1, other biases 0
(https://keras.io/api/layers/recurrent_layers/lstm/).
"""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def keras_lstm(lstm: nn.LSTM) -> None:
    """Initialise every layer and direction of an LSTM in place; gates are in torch's order i, f, g, o."""
    for name, weight in lstm.named_parameters():
        if "weight_ih" in name:
            for gate in weight.chunk(4):
                nn.init.xavier_uniform_(gate)
        elif "weight_hh" in name:
            for gate in weight.chunk(4):
                nn.init.orthogonal_(gate)
        else:
            weight.zero_()
            if "bias_ih" in name:  # torch adds two biases: only one of them holds the 1
                weight[lstm.hidden_size : 2 * lstm.hidden_size] = 1.0
