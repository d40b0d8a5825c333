"""L1 regression: absolute errors, the loss of competitions scored by MAE. (B, T, H) -> (B, T, K)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from foldline.models.heads.linear import HeadConfig, PointHead


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `l1` head: only the fields of every head."""


class L1(PointHead):
    """Mean absolute error over the scored steps."""

    kinds = ("regression", "ordinal")

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        return (own - y).abs().mean(dim=-1)
