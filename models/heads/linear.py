"""What all heads share: one linear map, the auxiliary targets, and the rule of the weighted mean.

A head of this folder is a `HeadConfig` and a `LinearHead` with an `error` per step; two-phase, whose unscored steps
count too, changes the weighted sum. Letters as in models/contract.py; P = a head's own outputs + auxiliary ones.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from foldline.models.contract import Head
from foldline.models.heads.auxiliary import Aux

SMALLEST = 1e-12  # a sum of weights below this is taken for none


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """What every head's table may hold."""

    aux: Aux | None = None  # auxiliary targets; none: without


class LinearHead(Head):
    """(B, T, H) -> (B, T, P); the loss is the weighted mean of `error`, and what the auxiliary targets add."""

    def __init__(self, config: HeadConfig, hidden: int, targets: int, outputs: int) -> None:
        """hidden: H; targets: K; outputs: the head's own part of P."""
        super().__init__()
        self.outputs, self.aux = outputs, config.aux
        self.out = nn.Linear(hidden, outputs + (config.aux.count * targets if config.aux else 0))

    def forward(self, hidden: Tensor) -> Tensor:
        raw: Tensor = self.out(hidden)
        return raw

    def loss(self, raw: Tensor, y: Tensor, weight: Tensor, mask: Tensor | None) -> Tensor:
        total = self.total(self.own(raw), y, weight, mask)
        if self.aux:
            total = total + self.aux.total(raw[..., self.outputs :], y, weight)
        scale = weight.sum()
        return total * (scale > SMALLEST) / scale.clamp(min=SMALLEST)

    def own(self, raw: Tensor) -> Tensor:
        """The outputs (B, T, outputs) that are not auxiliary."""
        return raw[..., : self.outputs] if self.aux else raw  # a slice of all would be copied in the backward pass

    def total(self, own: Tensor, y: Tensor, weight: Tensor, mask: Tensor | None) -> Tensor:
        """Weighted sum of the errors over all steps, a scalar."""
        return (self.error(own, y) * weight).sum()

    @abstractmethod
    def error(self, own: Tensor, y: Tensor) -> Tensor:
        """Loss of each step, its mean over the targets: (B, T, outputs), (B, T, K) -> (B, T)."""
