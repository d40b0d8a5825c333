"""Transformer encoder layer with relative positions: attention with a learned bias a distance, then a feed-forward net.

Source: Raffel et al. 2020, https://arxiv.org/abs/1910.10683 (section 2.1: T5, whose bias is the default; here each
layer has its own). The other forms of the bias, and their papers: ops/relative_attention.py. Pre-norm, as
`transformer`, which adds a code of the step's number to the input instead; here a pattern is the same wherever it
stands, in longer series than those of training, too. `pairs` adds matrices of the series' own to the scores (as in
Graphormer, Ying et al. 2021, https://arxiv.org/abs/2106.05234, section 3.1.3, and in the networks for RNA that get
base-pair probabilities). `causal` looks back only. (B, T, in) -> (B, T, width).

Default: 4 heads, as wide as the hybrid, 64, the feed-forward net 4 times as wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from foldline.models.ops.covariates import NO_COVARIATES, CovariateBlock, Covariates
from foldline.models.ops.relative_attention import Form, RelativeAttention, RelativeConfig


@dataclass(frozen=True, kw_only=True)
class Config(RelativeConfig):
    """Table of a `relative-transformer` block."""

    bias: Form = "bucket"  # what the bias of a distance is made of: ops/relative_attention.py

    shares: ClassVar[tuple[str, ...]] = ("ops/relative_attention",)


class RelativeTransformer(CovariateBlock):
    """x + attention(norm x), then + ffn(norm x); a linear map in front where the width changes."""

    compiles = True

    def __init__(self, config: Config, inputs: int, static_width: int = 0) -> None:
        """static_width: not used, static columns come in with the input."""
        super().__init__()
        width, self.pairs = config.width, config.pairs
        self.project_in = nn.Linear(inputs, width) if inputs != width else nn.Identity()
        self.norm_attention, self.norm_ffn = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = RelativeAttention(config)
        self.ffn = nn.Sequential(nn.Linear(width, config.ffn * width), nn.GELU(), nn.Linear(config.ffn * width, width))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor | None, covariates: Covariates = NO_COVARIATES) -> Tensor:
        x, pairs = self.project_in(x), covariates.matrices(self.pairs)  # (B, T, width), (B, n, T, T)
        x = x + self.dropout(self.attention(self.norm_attention(x), mask, pairs))
        out: Tensor = x + self.dropout(self.ffn(self.norm_ffn(x)))
        return out
