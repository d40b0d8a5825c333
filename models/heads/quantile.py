"""Quantile regression by the pinball loss; the prediction is the median, or another level. (B, T, H) -> (B, T, K * Q).

Source: Koenker & Bassett 1978, https://doi.org/10.2307/1913643. Quantiles cannot cross, by construction: the predicted
level is one output, and each quantile further out lies a softplus of its own output beyond its neighbour. The loss is
twice the pinball loss, averaged over the levels: with levels = [0.5] exactly L1. For a metric that is the pinball loss
of one level: levels = [0.9], predict = 0.9.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from foldline.models.contract import Targets
from foldline.models.heads.linear import HeadConfig, LinearHead


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `quantile` head."""

    levels: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)  # probabilities, rising
    predict: float = 0.5  # the level that is the prediction; one of them

    def __post_init__(self) -> None:
        if list(self.levels) != sorted(set(self.levels)) or not all(0 < level < 1 for level in self.levels):
            raise ValueError(f"levels must rise, each above 0 and below 1, but is {list(self.levels)}")
        if self.predict not in self.levels:
            level = "0.5, the median" if self.predict == 0.5 else self.predict
            raise ValueError(f"levels must hold {level}, which is the prediction, but is {list(self.levels)}")


class Quantile(LinearHead):
    """Q quantiles of each target, rising; the spread is the mean distance of the quantile function to the predicted."""

    levels: Tensor  # (Q,)
    shares: Tensor  # (Q,) probability that each quantile stands for: up to half way to its neighbours, or to the end

    def __init__(self, config: Config, hidden: int, targets: Targets) -> None:
        super().__init__(config, hidden, targets.count, outputs=targets.count * len(config.levels))
        self.middle = list(config.levels).index(config.predict)
        levels = torch.tensor(config.levels, dtype=torch.float32)
        ends = torch.cat([torch.zeros(1), (levels[1:] + levels[:-1]) / 2, torch.ones(1)])
        self.register_buffer("levels", levels, persistent=False)
        self.register_buffer("shares", ends.diff(), persistent=False)

    def quantiles(self, own: Tensor) -> Tensor:
        """Map outputs (B, T, K * Q) to quantiles (B, T, K, Q), rising along Q."""
        steps = own.view(*own.shape[:2], -1, len(self.levels))
        middle = steps[..., self.middle : self.middle + 1]
        below = functional.softplus(steps[..., : self.middle]).flip(-1).cumsum(dim=-1).flip(-1)
        above = functional.softplus(steps[..., self.middle + 1 :]).cumsum(dim=-1)
        return torch.cat([middle - below, middle, middle + above], dim=-1)

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        short = y.unsqueeze(-1) - self.quantiles(own)  # (B, T, K, Q), above 0 where the quantile is too low
        pinball = torch.maximum(self.levels * short, (self.levels - 1) * short)
        return 2 * pinball.mean(dim=(-1, -2))

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        return self.quantiles(self.own(raw))[..., self.middle]

    def spread(self, raw: Tensor) -> Tensor:
        """Return the mean of |quantile function - prediction|, (B, T, K): linear between levels, constant beyond."""
        quantiles = self.quantiles(self.own(raw))
        return ((quantiles - quantiles[..., self.middle, None]).abs() * self.shares).sum(dim=-1)
