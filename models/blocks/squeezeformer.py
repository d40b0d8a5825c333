"""Squeezeformer block: attention and convolution, a feed-forward net behind each, norms behind all that is added.

Source: Kim et al. 2022, https://arxiv.org/abs/2206.00888 (section 3, figure 2): after study of the Conformer,
attention, F, convolution, F', each a whole residual instead of halves; x = norm(x + module(a x + b)), a and b learned
a channel, in place of a norm on both sides; Swish everywhere, also for the GLU of the convolution, which is thereby
twice as wide. The paper's norm of the convolution is `norm = "batch"` (ops/convolution_module.py); its halving of time
in the middle blocks is not the block's. (B, T, in) -> (B, T, width).

Default: kernels of 15, 4 heads, as wide as the hybrid, 64. The paper's: 31, 16 to 22 blocks of 144 to 640 with 4 to 8
heads, dropout = 0.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foldline.models.ops.convolution_module import ConvolutionConfig, ConvolutionModule
from foldline.models.ops.covariates import NO_COVARIATES, CovariateBlock, Covariates
from foldline.models.ops.relative_attention import RelativeAttention


@dataclass(frozen=True, kw_only=True)
class Config(ConvolutionConfig):
    """Table of a `squeezeformer` block."""


class FeedForward(nn.Module):
    """H -> ffn H -> H, with Swish."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.widen = nn.Linear(config.width, config.ffn * config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.narrow = nn.Linear(config.ffn * config.width, config.width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """mask: not used, no step sees another."""
        out: Tensor = self.narrow(self.dropout(nn.functional.silu(self.widen(x))))
        return out


class ScaledResidual(nn.Module):
    """norm(x + module(a x + b))."""

    def __init__(self, module: nn.Module, width: int, dropout: float) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.module, self.dropout, self.norm = module, nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(self, x: Tensor, *others: Tensor | None) -> Tensor:
        """others: what the module gets beside x."""
        out: Tensor = self.norm(x + self.dropout(self.module(self.scale * x + self.shift, *others)))
        return out


class Squeezeformer(CovariateBlock):
    """The four modules; a linear map in front where the width changes."""

    compiles = True

    def __init__(self, config: Config, inputs: int, static_width: int = 0) -> None:
        """static_width: not used, static columns come in with the input."""
        super().__init__()
        width, self.pairs = config.width, config.pairs
        self.project_in = nn.Linear(inputs, width) if inputs != width else nn.Identity()
        modules = (
            RelativeAttention(config),
            FeedForward(config),
            ConvolutionModule(config, "swish"),
            FeedForward(config),
        )
        self.parts = nn.ModuleList(ScaledResidual(module, width, config.dropout) for module in modules)

    def forward(self, x: Tensor, mask: Tensor | None, covariates: Covariates = NO_COVARIATES) -> Tensor:
        x, pairs = self.project_in(x), covariates.matrices(self.pairs)  # (B, T, width), (B, n, T, T)
        attention, *others = self.parts
        x = attention(x, mask, pairs)
        for part in others:
            x = part(x, mask)
        return x
