"""CORN: ranks by a chain of conditional yes-or-no questions. (B, T, H) -> (B, T, C - 1) logits of C ranks.

Source: Shi, Cao & Raschka 2021, https://arxiv.org/abs/2111.08851. Logit k asks "above k?" of those that are at least k:
f_k = P(y > k | y >= k). So P(y > k) = f_0 f_1 ... f_k never rises with k, whatever the logits. Question k is trained on
its conditional set alone, the truths of at least k; the sum over a truth's questions is the negative logarithm of
its probability. (The paper divides by the sizes of the sets in a batch, which is no weighted sum over steps.)

    -sum_k ( a_k log f_k + (a_{k-1} - a_k) log(1 - f_k) ),   a_k = 1 if y > k, else 0; a_{-1} = 1

Between two ranks (mixup) a_k is interpolated: a truth of 2.3 is 0.7 of a 2 and 0.3 of a 3. The prediction is the
expected rank, the sum of P(y > k): what a squared error wants, and what cut points are fitted on.
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
    """Table of the `ordinal` head: only the fields of every head."""


class Ordinal(LinearHead):
    """Mean negative log likelihood of the ranks over the scored steps, in nats."""

    kinds = ("ordinal",)
    thresholds: Tensor  # (C - 1,) the ranks 0 .. C - 2

    def __init__(self, config: Config, hidden: int, targets: Targets) -> None:
        super().__init__(config, hidden, targets.count, outputs=targets.classes - 1)
        self.register_buffer("thresholds", torch.arange(targets.classes - 1.0), persistent=False)

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        above, asked = self.labels(y)
        return -(above * functional.logsigmoid(own) + (asked - above) * functional.logsigmoid(-own)).sum(dim=-1)

    def labels(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return a_k and a_{k-1}, how much of a truth (B, T, 1) is above k, and is asked that: (B, T, C - 1) each."""
        beyond = y - self.thresholds
        return beyond.clamp(0, 1), (beyond + 1).clamp(0, 1)

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        return self.own(raw).sigmoid().cumprod(dim=-1).sum(dim=-1, keepdim=True)
