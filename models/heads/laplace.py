"""Laplace likelihood: median and scale of each target; L1 that also learns its own error. (B, T, H) -> (B, T, 2 K).

The 9th place of the ventilator competition trained its LSTM with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from foldline.models.heads.linear import LocationScaleConfig, LocationScaleHead


@dataclass(frozen=True, kw_only=True)
class Config(LocationScaleConfig):
    """Table of the `laplace` head."""


class Laplace(LocationScaleHead):
    """Mean negative log likelihood of a Laplace distribution, in nats; the location is its median, the scale its b."""

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        location, b = self.location_and_scale(own)
        nats = (y - location).abs() / b + b.log() + math.log(2)
        return nats.mean(dim=-1)

    def spread(self, raw: Tensor) -> Tensor:
        """Return the mean absolute deviation of a Laplace distribution, b itself: (B, T, K)."""
        return self.location_and_scale(self.own(raw))[1]
