"""L2 regression: squared errors, the loss of competitions scored by MSE or RMSE. (B, T, H) -> (B, T, K)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from foldline.models.heads.linear import HeadConfig, PointHead


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `l2` head: only the fields of every head."""


class L2(PointHead):
    """Mean squared error over the scored steps."""

    kinds = ("regression", "ordinal")

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        return (own - y).square().mean(dim=-1)
