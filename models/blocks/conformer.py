"""Conformer block: attention for what is far, a depthwise convolution for what is near, between two half feed-forwards.

Source: Gulati et al. 2020, https://arxiv.org/abs/2005.08100 (section 2, eq. 1). x + F(x) / 2, + attention, +
convolution, + F'(x) / 2, then a layer norm ("macaron": the feed-forward net is cut in two halves around the others).
Each module has its norm in front. Attention is relative as Transformer-XL's, `bias = "sinusoid"`; the paper's
norm of the convolution is `norm = "batch"` (ops/convolution_module.py). (B, T, in) -> (B, T, width).

Default: kernels of 15, 4 heads, as wide as the hybrid, 64. The paper's: 32 taps, 16 to 17 blocks of 144 to 512 with 4
to 8 heads, dropout = 0.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from foldline.models.ops.convolution_module import ConvolutionConfig, ConvolutionModule
from foldline.models.ops.covariates import NO_COVARIATES, CovariateBlock, Covariates
from foldline.models.ops.relative_attention import RelativeAttention


@dataclass(frozen=True, kw_only=True)
class Config(ConvolutionConfig):
    """Table of a `conformer` block."""


def feed_forward(config: Config) -> nn.Sequential:
    """Return a net: layer norm, then H -> ffn H -> H, with Swish."""
    wide = config.ffn * config.width
    return nn.Sequential(
        nn.LayerNorm(config.width),
        nn.Linear(config.width, wide),
        nn.SiLU(),
        nn.Dropout(config.dropout),
        nn.Linear(wide, config.width),
        nn.Dropout(config.dropout),
    )


class Conformer(CovariateBlock):
    """The four modules and the last norm; a linear map in front where the width changes."""

    compiles = True

    def __init__(self, config: Config, inputs: int, static_width: int = 0) -> None:
        """static_width: not used, static columns come in with the input."""
        super().__init__()
        width, self.pairs = config.width, config.pairs
        self.project_in = nn.Linear(inputs, width) if inputs != width else nn.Identity()
        self.first, self.last = feed_forward(config), feed_forward(config)
        self.norm_attention, self.attention = nn.LayerNorm(width), RelativeAttention(config)
        self.norm_convolution = nn.LayerNorm(width)
        self.convolution = ConvolutionModule(config, "glu")
        self.dropout, self.norm = nn.Dropout(config.dropout), nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None, covariates: Covariates = NO_COVARIATES) -> Tensor:
        x, pairs = self.project_in(x), covariates.matrices(self.pairs)  # (B, T, width), (B, n, T, T)
        x = x + self.first(x) / 2
        x = x + self.dropout(self.attention(self.norm_attention(x), mask, pairs))
        x = x + self.dropout(self.convolution(self.norm_convolution(x), mask))
        out: Tensor = self.norm(x + self.last(x) / 2)
        return out
