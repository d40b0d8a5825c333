"""Squared relative error, the loss of competitions scored by RMSPE: ((p - y) / y)^2. (B, T, H) -> (B, T, K).

It is L2 with weights of 1 / y^2, y in the target's own unit (Rossmann Store Sales, 2015; Optiver Realized Volatility,
2021). The root over all rows is left to the metric: it has the same minimum. A truth smaller than `floor` weighs as
much as one of that size.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from foldline.models.contract import Targets
from foldline.models.heads.linear import HeadConfig, OwnUnitHead


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `rmspe` head."""

    floor: float = 0.01  # least size of a truth, in units of the scaled target

    def __post_init__(self) -> None:
        if not self.floor > 0:
            raise ValueError(f"floor must be above 0, but is {self.floor}")


class RMSPE(OwnUnitHead):
    """Mean squared relative error over the scored steps."""

    def __init__(self, config: Config, hidden: int, targets: Targets) -> None:
        super().__init__(config, hidden, targets)
        self.floor = config.floor

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        size = self.in_own_unit(y).abs().maximum(self.floor * self.scale)
        return ((own - y) * self.scale / size).square().mean(dim=-1)
