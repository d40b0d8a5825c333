"""Stable recurrence: an RNN or LSTM kept a contraction, so that its initial state is forgotten at a known rate.

Source: Miller & Hardt 2019, "Stable Recurrent Models", https://arxiv.org/abs/1805.10369. Two states that differ come
nearer by a factor lambda < 1 a step; hence a stable network cut to its last k inputs is off by const * lambda^k
(models/probes.py measures that), and a feed-forward net can compute the same.

rnn: h = tanh(W h + U x + b), the singular values of W cut at `bound` (section 3.1, projection onto the spectral ball);
its lambda is `bound`. lstm: proposition 2. With f <= F, the L1 norm of every row of W_i and W_o stays below 1 - F, of
W_z below (1 - F) / 4, of W_f below (1 - F)^2. The paper bounds f through bounded inputs; here f = F sigmoid(...), which
needs no assumption about them. Steps are taken one by one: slower than `lstm`.
(B, T, in) -> (B, T, width): width/2 units in each direction, or width units if causal, as published.

Default: the lstm in both directions, as wide as the hybrid, 64; F = 0.64, bound 0.97.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from foldline.models.ops.initialisation import orthogonal
from foldline.models.ops.recurrence import CellBlock, RecurrentConfig


@dataclass(frozen=True, kw_only=True)
class Config(RecurrentConfig):
    """Table of a `stable` block."""

    cell: Literal["rnn", "lstm"] = "lstm"
    bound: float = 0.97  # rnn: the largest singular value; lstm: how near to the proposition's limits weights may come
    forget: float = 0.64  # lstm: F, the largest forget gate, as in the paper

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("bound", "forget"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, but is {getattr(self, name)}")


def clip_singular_values(weight: Tensor, bound: float) -> Tensor:
    """Cut the singular values of `weight` (n, n) at `bound`; gradients pass as if nothing had been cut."""
    left, values, right = torch.linalg.svd(weight.detach().float(), full_matrices=False)
    clipped: Tensor = weight - (left * (values - bound).relu()) @ right
    return clipped


def clip_row_norms(weight: Tensor, bound: Tensor) -> Tensor:
    """Scale each row of `weight` (m, n) down to an L1 norm of at most `bound` (m, 1)."""
    # the clamp keeps a row of zeros from dividing by 0
    return weight * (bound / weight.abs().sum(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)


class RNNCell(nn.Module):
    """One direction of the rnn: (B, T, in) -> (B, T, units)."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        self.bound, self.project = config.bound, nn.Linear(inputs, config.units)
        self.weight = nn.Parameter(config.bound * orthogonal(config.units, config.units))

    def forward(self, x: Tensor, start: Tensor | None) -> Tensor:
        """start: (1, B, units), h before the first step."""
        projected, weight = self.project(x), clip_singular_values(self.weight, self.bound).T
        state = torch.zeros_like(projected[:, 0]) if start is None else start[0]
        states = []
        for step in projected.unbind(1):
            state = torch.tanh(step + state @ weight)
            states.append(state)
        return torch.stack(states, dim=1)


class LSTMCell(nn.Module):
    """One direction of the lstm: (B, T, in) -> (B, T, units)."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        units, margin = config.units, 1 - config.forget
        self.forget, self.project = config.forget, nn.Linear(inputs, 4 * units)  # gates i, f, z, o
        self.weight = nn.Parameter(orthogonal(4 * units, units))
        limits = torch.tensor([margin, margin**2, margin / 4, margin])  # of i, f, z, o
        self.register_buffer("limits", config.bound * limits.repeat_interleave(units).unsqueeze(1), persistent=False)

    def forward(self, x: Tensor, start: Tensor | None) -> Tensor:
        """start: (2, B, units), h and c before the first step."""
        projected, weight = self.project(x), clip_row_norms(self.weight, self.get_buffer("limits")).T
        zeros = projected.new_zeros(len(x), len(weight))
        state, memory = (zeros, zeros) if start is None else (start[0], start[1])
        states = []
        for step in projected.unbind(1):
            write, forget, candidate, output = (step + state @ weight).chunk(4, dim=1)
            memory = self.forget * forget.sigmoid() * memory + write.sigmoid() * candidate.tanh()
            state = output.sigmoid() * memory.tanh()
            states.append(state)
        return torch.stack(states, dim=1)


class Stable(CellBlock):
    """One cell for each direction."""

    def __init__(self, config: Config, inputs: int, static_width: int = 0) -> None:
        cell, states = (RNNCell, 1) if config.cell == "rnn" else (LSTMCell, 2)
        super().__init__(config, inputs, static_width, states, lambda: cell(config, inputs))
