"""Mean over the columns of the root of the mean squared error, MCRMSE, as a sum over steps. (B, T, H) -> (B, T, K).

A root of a mean is no sum over steps: roots of a batch's parts don't add up to that of the batch. But sqrt(m) is the
least value over s > 0 of m / (2 s) + s / 2, reached at s = sqrt(m) (the "eta-trick": Bach et al. 2012,
https://arxiv.org/abs/1108.0775, section 5). So each column has a learned s_k, its root mean squared error, and the loss
of a step is the mean over the columns of

    u_k (e_k^2 / (2 s_k) + s_k / 2)

with u_k the column's scale, over the mean of all scales: the metric is in the targets' own unit. The loss is never
below MCRMSE / mean scale, and that where the s_k have arrived. With one column it is RMSE. (Metric: OpenVaccine, 2020.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foldline.models.contract import Targets
from foldline.models.heads.linear import HeadConfig, OwnUnitHead

GAIN = 10.0  # log s_k = GAIN * weight: an optimiser with steps of one size moves s_k by GAIN * rate, 1 % at 0.001


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `mcrmse` head: only the fields of every head."""


class MCRMSE(OwnUnitHead):
    """The sum over steps whose least value over s is the mean of the columns' root mean squared errors."""

    def __init__(self, config: Config, hidden: int, targets: Targets) -> None:
        super().__init__(config, hidden, targets)
        self.log_root = nn.Parameter(torch.zeros(targets.count))  # log s_k / GAIN; scaled: s_k starts at 1

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        root = (GAIN * self.log_root).exp()
        bound = (own - y).square() / (2 * root) + root / 2
        return (bound * (self.scale / self.scale.mean())).mean(dim=-1)
