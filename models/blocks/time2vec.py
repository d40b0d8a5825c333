"""Time2Vec: the real time of a step as a learned vector, one linear part and k learned waves, joined to the features.

Source: Kazemi et al. 2019, https://arxiv.org/abs/1907.05321 (eq. 1). Component 0 is w_0 t + f_0, component i is
sin(w_i t + f_i); all w and f are learned. The time comes from the hybrid (`time = "time_step"`), in its own unit, so
that uneven steps count with their duration. In front of `transformer` blocks with position = "none" it is the paper's
Transformer. The waves begin as harmonics of `period`. (B, T, in) -> join -> (B, T, in + 1 + k) -> (B, T, width).

Default: k = 16 (the paper tries 16, 32 and 64), harmonics of 3 s, as wide as the hybrid, 64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foldline.models.contract import BlockConfig
from foldline.models.ops.covariates import NO_COVARIATES, CovariateBlock, Covariates


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of a `time2vec` block."""

    skip: bool = False  # the hybrid's; the block's linear map gets the input already
    waves: int = 16  # k
    period: float = 3.0  # of the slowest wave at the start, in the unit of the time (ventilator: s, a breath)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.waves < 1:
            raise ValueError(f"waves must be at least 1, but is {self.waves}")
        if self.period <= 0:
            raise ValueError(f"period must be above 0, but is {self.period}")

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on."""
        return 0, 0


class Time2Vec(CovariateBlock):
    """linear([x, w_0 t + f_0, sin(w_1 t + f_1), ..., sin(w_k t + f_k)])."""

    def __init__(self, config: Config, inputs: int, static_width: int = 0) -> None:
        """static_width: not used, static columns come in with the input."""
        super().__init__()
        waves = 2 * math.pi / config.period * torch.arange(1, config.waves + 1)
        self.frequency = nn.Parameter(torch.cat([torch.tensor([1 / config.period]), waves]))  # w, rad / unit of time
        self.phase = nn.Parameter(2 * math.pi * torch.rand(config.waves + 1))  # f, rad
        self.join = nn.Linear(inputs + 1 + config.waves, config.width)

    def forward(self, x: Tensor, mask: Tensor | None, covariates: Covariates = NO_COVARIATES) -> Tensor:
        angle = covariates.times.unsqueeze(2) * self.frequency + self.phase  # (B, T, 1 + k)
        vector = torch.cat([angle[..., :1], angle[..., 1:].sin()], dim=2)
        out: Tensor = self.join(torch.cat([x, vector.to(x.dtype)], dim=2))
        return out
