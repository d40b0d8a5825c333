"""Gaussian likelihood: location and scale of each target. (B, T, H) -> (B, T, 2 K).

Source: Nix & Weigend 1994, https://doi.org/10.1109/ICNN.1994.374138.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from foldline.models.heads.linear import LocationScaleConfig, LocationScaleHead


@dataclass(frozen=True, kw_only=True)
class Config(LocationScaleConfig):
    """Table of the `gaussian` head."""


class Gaussian(LocationScaleHead):
    """Mean negative log likelihood of a normal distribution, in nats; the scale is its standard deviation."""

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        location, sigma = self.location_and_scale(own)
        nats = ((y - location) / sigma).square() / 2 + sigma.log() + math.log(2 * math.pi) / 2
        return nats.mean(dim=-1)

    def spread(self, raw: Tensor) -> Tensor:
        """Return the mean absolute deviation of a normal distribution, sigma * sqrt(2 / pi): (B, T, K)."""
        return self.location_and_scale(self.own(raw))[1] * math.sqrt(2 / math.pi)
