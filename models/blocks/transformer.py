"""Transformer encoder layer, pre-norm: attention over all real steps, then a feed-forward net.

Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762 (section 3; sinusoidal code of section 3.5, on the step's
number or on its real time). Pre-norm: Xiong et al. 2020, https://arxiv.org/abs/2002.04745. Attention is global: every
step attends to every real step. (B, T, in) -> (B, T, width).

Default: 4 heads, as wide as the hybrid, 64, the feed-forward net twice as wide (`ffn = 4` is the paper's); for a whole
network take 2 to 4 blocks of 128 to 256 with 4 to 16 heads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from foldline.models.contract import BlockConfig
from foldline.models.ops.attention import SelfAttention
from foldline.models.ops.covariates import NO_COVARIATES, CovariateBlock, Covariates


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of a `transformer` block."""

    heads: int = 4
    ffn: int = 2  # width of the feed-forward net, in widths of the block
    position: Literal["step", "time", "none"] = "step"  # what the sinusoidal code is of; none: permutation-equivariant
    tick: float = 0.03  # position = "time": the time that counts as one step, in the data's unit (ventilator: s)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ffn < 1:
            raise ValueError(f"ffn must be at least 1, but is {self.ffn}")
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, but is {self.width} with {self.heads} heads")
        if self.tick <= 0:
            raise ValueError(f"tick must be above 0, but is {self.tick}")

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on."""
        return math.inf, math.inf


def step_encoding(steps: int, width: int, device: torch.device) -> Tensor:
    """Return the sinusoidal code of the steps' numbers, (steps, width)."""
    return sinusoidal_encoding(torch.arange(steps, device=device), width)


def sinusoidal_encoding(position: Tensor, width: int) -> Tensor:
    """Return the code (..., width) of positions (...), in steps: sines in the even channels, cosines in the odd ones.

    Vaswani et al. 2017, section 3.5.
    """
    rate = torch.exp(torch.arange(0, width, 2, device=position.device) * (-math.log(10_000.0) / width))
    angle = position.unsqueeze(-1) * rate  # (..., ceil(width / 2))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)[..., :width]


class Transformer(CovariateBlock):
    """x + attention(norm x), then + ffn(norm x); a linear map in front where the width changes."""

    compiles = True

    def __init__(self, config: Config, inputs: int, static_width: int = 0) -> None:
        """static_width: not used, static columns come in with the input."""
        super().__init__()
        width = config.width
        self.position, self.tick = config.position, config.tick
        self.project_in = nn.Linear(inputs, width) if inputs != width else nn.Identity()
        self.norm_attention, self.norm_ffn = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, config.heads)
        self.ffn = nn.Sequential(nn.Linear(width, config.ffn * width), nn.GELU(), nn.Linear(config.ffn * width, width))

    def forward(self, x: Tensor, mask: Tensor | None, covariates: Covariates = NO_COVARIATES) -> Tensor:
        x = self.project_in(x)  # (B, T, width)
        if self.position == "step":
            x = x + step_encoding(x.shape[1], x.shape[2], x.device).to(x.dtype)
        elif self.position == "time":
            x = x + sinusoidal_encoding(covariates.times / self.tick, x.shape[2]).to(x.dtype)
        x = x + self.attention(self.norm_attention(x), mask)
        out: Tensor = x + self.ffn(self.norm_ffn(x))
        return out
