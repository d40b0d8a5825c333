"""Linear recurrent unit: a diagonal complex recurrence that can't explode, then a non-linear gate.

Source: Orvieto et al. 2023, "Resurrecting Recurrent Neural Networks for Long Sequences",
https://arxiv.org/abs/2303.06349 (section 3, eq. 3 to 7; block: section 2). h_t = lambda h_{t-1} + gamma B x_t and
y_t = Re(C h_t) + D x_t, elementwise in h, with lambda = exp(-exp(nu) + i exp(theta)), so that |lambda| < 1 whatever is
learned, and gamma = sqrt(1 - |lambda|^2), which keeps the size of h whatever the memory. lambda starts on the ring
`radius_min` to `radius_max`. Then GLU(GELU(y)). (B, T, in) -> (B, T, width): width/2 complex states in each direction,
or width if causal, as published.

Default: both directions, as wide as the hybrid, 64; the ring from 0.5 to 0.99.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.ops.recurrence import CellBlock, RecurrentConfig
from foldline.models.ops.scan import linear_recurrence


@dataclass(frozen=True, kw_only=True)
class Config(RecurrentConfig):
    """Table of an `lru` block."""

    radius_min: float = 0.5  # |lambda| begins between these: 0.5 forgets within a few steps, 0.99 within hundreds
    radius_max: float = 0.99
    phase_max: float = 1.0  # rad a step; the fastest oscillation at the start

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.radius_min < self.radius_max < 1:
            raise ValueError(
                f"radius_min and radius_max must obey 0 <= min < max < 1, but are {self.radius_min} and "
                f"{self.radius_max}"
            )
        if not 0 < self.phase_max <= 2 * math.pi:
            raise ValueError(f"phase_max must be in (0, 2 pi], but is {self.phase_max}")


class Cell(nn.Module):
    """One direction: (B, T, in) -> (B, T, units)."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        units = config.units
        # |lambda|^2, even on the ring; clamped, as a drawn 0 has no logarithm
        square = torch.empty(units).uniform_(config.radius_min**2, config.radius_max**2).clamp(min=1e-12)
        self.nu = nn.Parameter((-0.5 * square.log()).log())
        self.theta = nn.Parameter((config.phase_max * (1 - torch.rand(units))).log())
        self.input = nn.Linear(inputs, 2 * units, bias=False)  # B: real part, imaginary part
        self.out, self.direct = nn.Linear(2 * units, units), nn.Linear(inputs, units, bias=False)  # C, D
        self.gate = nn.Linear(units, 2 * units)

    @property
    def decay(self) -> Tensor:
        """The factors lambda of one step, (units,) complex."""
        return torch.polar((-self.nu.exp()).exp(), self.theta.exp())

    def states(self, x: Tensor, start: Tensor | None = None) -> Tensor:
        """Return h (B, T, units), complex64; start: (2, B, units), real and imaginary part before the first step."""
        decay = self.decay
        # gamma = sqrt(1 - |lambda|^2): where |lambda| rounds to 1 that is 0, and its gradient infinite; expm1 is exact
        gamma = (-torch.expm1(-2 * self.nu.exp())).sqrt()
        drive = gamma * torch.complex(*self.input(x).float().chunk(2, dim=2))
        begin = None if start is None else torch.complex(start[0].float(), start[1].float())
        return linear_recurrence(decay.expand_as(drive), drive, begin)

    def forward(self, x: Tensor, start: Tensor | None) -> Tensor:
        state = self.states(x, start)
        hidden = self.out(torch.cat([state.real, state.imag], dim=2)) + self.direct(x)
        return functional.glu(self.gate(functional.gelu(hidden)), dim=2)


class LRU(CellBlock):
    """One cell for each direction."""

    def __init__(self, config: Config, inputs: int, static_width: int = 0) -> None:
        super().__init__(config, inputs, static_width, 2, lambda: Cell(config, inputs))  # real and imaginary part
