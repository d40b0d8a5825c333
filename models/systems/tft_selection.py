"""The TFT's gated residual networks, and the variable selection made of them.

Source: Lim et al. 2021, https://arxiv.org/abs/1912.09363, sections 4.1 and 4.2. Letters: V variables, d = width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.systems.tft_config import Config


class GatedLinearUnit(nn.Module):
    """Gated linear unit, eq. 5: sigmoid(W4 x + b4) * (W5 x + b5), with dropout before. Ablated: elu(W x + b)."""

    def __init__(self, inputs: int, width: int, config: Config) -> None:
        super().__init__()
        self.gating, self.dropout = config.gating, nn.Dropout(config.dropout)
        self.map = nn.Linear(inputs, 2 * width if config.gating else width)

    def forward(self, x: Tensor) -> Tensor:
        mapped = self.map(self.dropout(x))
        return functional.glu(mapped, dim=-1) if self.gating else functional.elu(mapped)


class GatedResidualNetwork(nn.Module):
    """Gated residual network, eq. 2 to 4: norm(a + GLU(W1 elu(W2 a + W3 c + b2) + b1)); W3 c only with a context."""

    def __init__(self, inputs: int, width: int, config: Config, *, context: bool = False, hidden: int = 0) -> None:
        """hidden: units of the first layer, 0: width; context: whether `forward` gets one, (B, d)."""
        super().__init__()
        hidden = hidden or width
        self.first, self.second = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)
        self.context = nn.Linear(config.width, hidden, bias=False) if context else None
        self.skip = nn.Linear(inputs, width) if inputs != width else nn.Identity()
        self.unit, self.norm = GatedLinearUnit(hidden, width, config), nn.LayerNorm(width)

    def forward(self, a: Tensor, c: Tensor | None) -> Tensor:
        """a: (B, T, in); c: (B, d) or None -> (B, T, width)."""
        eta = self.first(a)
        if self.context is not None:
            assert c is not None, "a network made with a context needs one"
            eta = eta + self.context(c).unsqueeze(1)
        out: Tensor = self.norm(self.skip(a) + self.unit(self.second(functional.elu(eta))))
        return out


class VariableNetworks(nn.Module):
    """V gated residual networks without context, one a variable, all at once: (B, T, V, d) -> (B, T, V, d)."""

    def __init__(self, variables: int, width: int, config: Config) -> None:
        super().__init__()
        self.gating, self.dropout = config.gating, nn.Dropout(config.dropout)
        outputs = 2 * width if config.gating else width
        self.first, self.second = _maps(variables, width, width), _maps(variables, width, width)
        self.unit = _maps(variables, width, outputs)
        self.biases = nn.ParameterList(torch.zeros(variables, size) for size in (width, width, outputs))
        self.gain, self.shift = nn.Parameter(torch.ones(variables, width)), nn.Parameter(torch.zeros(variables, width))

    def forward(self, x: Tensor) -> Tensor:
        eta = functional.elu(self._mapped(x, self.first, self.biases[0]))
        eta = self.dropout(self._mapped(eta, self.second, self.biases[1]))
        mapped = self._mapped(eta, self.unit, self.biases[2])
        gated = functional.glu(mapped, dim=-1) if self.gating else functional.elu(mapped)
        return functional.layer_norm(x + gated, x.shape[-1:]) * self.gain + self.shift

    def _mapped(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.einsum("btvi,vio->btvo", x, weight) + bias


def _maps(variables: int, inputs: int, outputs: int) -> nn.Parameter:
    """Return a linear map for each variable, (V, in, out), initialised as in nn.Linear."""
    return nn.Parameter(torch.empty(variables, inputs, outputs).uniform_(-(inputs**-0.5), inputs**-0.5))


class VariableSelection(nn.Module):
    """Variable selection, eq. 6 to 8: softmax weights over the variables, step by step, of their own networks' outputs.

    Ablated: the weights are parameters, the same at every step.
    """

    def __init__(self, variables: int, width: int, config: Config, *, context: bool = False) -> None:
        super().__init__()
        self.networks = VariableNetworks(variables, width, config)
        selects = config.selection
        self.weights = (
            GatedResidualNetwork(variables * width, variables, config, context=context, hidden=width)
            if selects
            else None
        )
        self.constant = None if selects else nn.Parameter(torch.zeros(variables))

    def forward(self, variables: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """variables: (B, T, V, d); context: (B, d) or None -> the selected (B, T, d), weights (B, T, V)."""
        if self.weights is not None:
            scores = self.weights(variables.flatten(2), context)
        else:
            assert self.constant is not None
            scores = self.constant.expand(variables.shape[:3])
        weights = scores.softmax(dim=-1)
        return (weights.unsqueeze(2) @ self.networks(variables)).squeeze(2), weights
