"""Symmetric relative error, the loss of competitions scored by SMAPE. (B, T, H) -> (B, T, K).

Source: Makridakis 1993, https://doi.org/10.1016/0169-2070(93)90079-3: 2 |p - y| / (|p| + |y|) in the targets' own unit,
from 0 to 2 (the metric in percent is 100 times that). Where truth and prediction have different signs it is 2 and has
no slope: for targets of one sign. Where both are near 0 its slope is infinite, so the denominator is not below `floor`.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from foldline.models.contract import Targets
from foldline.models.heads.linear import HeadConfig, OwnUnitHead


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `smape` head."""

    floor: float = 0.01  # least sum of the sizes of truth and prediction, in units of the scaled target

    def __post_init__(self) -> None:
        if not self.floor > 0:
            raise ValueError(f"floor must be above 0, but is {self.floor}")


class SMAPE(OwnUnitHead):
    """Mean symmetric relative error over the scored steps."""

    def __init__(self, config: Config, hidden: int, targets: Targets) -> None:
        super().__init__(config, hidden, targets)
        self.floor = config.floor

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        sizes = self.in_own_unit(own).abs() + self.in_own_unit(y).abs()
        relative = 2 * ((own - y).abs() * self.scale) / sizes.maximum(self.floor * self.scale)
        return relative.mean(dim=-1)
