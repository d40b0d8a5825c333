"""Laplace likelihood: median and scale of each target, the L1 loss that also learns how far off it is.

The 9th place of the ventilator competition trained its LSTM so. The scale is softplus(output) + floor: it grows only
linearly with the output, and a series learned by heart cannot drive the likelihood to infinity. Clip gradients.
(B, T, H) -> (B, T, 2 K).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from foldline.models.contract import Targets
from foldline.models.heads.linear import HeadConfig, LinearHead


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `laplace` head."""

    floor: float = 1e-3  # smallest scale b, in units of the scaled target

    def __post_init__(self) -> None:
        if not self.floor > 0:
            raise ValueError(f"floor must be above 0, but is {self.floor}")


class Laplace(LinearHead):
    """Mean negative log likelihood, in nats; the prediction is the location; outputs: K locations, K scales."""

    def __init__(self, config: Config, hidden: int, targets: Targets) -> None:
        super().__init__(config, hidden, targets.count, outputs=2 * targets.count)
        self.floor = config.floor

    def located(self, own: Tensor) -> tuple[Tensor, Tensor]:
        """Location and scale b, (B, T, K) each."""
        location, scale = own.chunk(2, dim=-1)
        return location, functional.softplus(scale) + self.floor

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        location, b = self.located(own)
        nats = (y - location).abs() / b + b.log() + math.log(2)
        return nats.mean(dim=-1)

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        return self.located(self.own(raw))[0]

    def spread(self, raw: Tensor) -> Tensor:
        """Mean absolute deviation of a Laplace distribution: b itself."""
        return self.located(self.own(raw))[1]
