"""L2 regression: squared errors, the loss of competitions scored by MSE or RMSE. (B, T, H) -> (B, T, K)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from foldline.models.contract import Targets
from foldline.models.heads.linear import HeadConfig, LinearHead


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `l2` head: nothing but what every head has."""


class L2(LinearHead):
    """Mean squared error over the scored steps."""

    def __init__(self, config: Config, hidden: int, targets: Targets) -> None:
        super().__init__(config, hidden, targets.count, outputs=targets.count)

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        return (own - y).square().mean(dim=-1)

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        return self.own(raw)
