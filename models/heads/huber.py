"""Huber regression: squared error near the target, absolute error beyond `delta`. (B, T, H) -> (B, T, K).

Source: Huber 1964, https://doi.org/10.1214/aoms/1177703732, divided by delta, so that the slope far from the target is
that of L1 and a learning rate serves both: e^2 / (2 delta) where |e| < delta, |e| - delta / 2 elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from foldline.models.contract import Targets
from foldline.models.heads.linear import HeadConfig, PointHead


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `huber` head."""

    delta: float = 0.1  # where the squared part ends, in units of the scaled target

    def __post_init__(self) -> None:
        if not self.delta > 0:
            raise ValueError(f"delta must be above 0, but is {self.delta}; for plain L1 choose kind = 'l1'")


class Huber(PointHead):
    """Mean Huber loss over the scored steps."""

    kinds = ("regression", "ordinal")

    def __init__(self, config: Config, hidden: int, targets: Targets) -> None:
        super().__init__(config, hidden, targets)
        self.delta = config.delta

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        return functional.smooth_l1_loss(own, y, beta=self.delta, reduction="none").mean(dim=-1)
