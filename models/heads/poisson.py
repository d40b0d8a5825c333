"""Poisson regression of counts: log link, deviance. (B, T, H) -> (B, T, K).

Source: McCullagh & Nelder 1989, https://doi.org/10.1007/978-1-4899-3242-6, chapter 6. The loss of a step is the mean
over the columns of 2 (y log(y / mu) - y + mu), truth y and prediction mu in units of the target's size, |center| +
scale: the deviance in the target's own unit, divided by that size. Targets must not be below 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from foldline.models.heads.linear import HeadConfig, LogLinkHead


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `poisson` head: only the fields of every head."""


class Poisson(LogLinkHead):
    """Mean Poisson deviance over the scored steps; the prediction is the mean, scaled."""

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        log_mean, y = self.log_mean(own), self.in_sizes(y)
        deviance = 2 * (torch.xlogy(y, y) - y * log_mean - y + log_mean.exp())
        return deviance.mean(dim=-1)
