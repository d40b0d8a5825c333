"""Two-phase L1 regression: one output for scored steps, another for labelled steps that are not scored.

The 1st place of the ventilator competition gave its LSTM a head for inspiration (scored) and one for expiration (not):
the body learns from all labelled steps, and no output serves both phases. (B, T, H) -> (B, T, 2 K).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from foldline.models.contract import Targets
from foldline.models.heads.linear import HeadConfig, LinearHead


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `twophase` head."""

    other: float = 0.25  # weight of an unscored step, beside 1 of a scored one

    def __post_init__(self) -> None:
        if not self.other > 0:
            raise ValueError(f"other must be above 0, but is {self.other}; without a second phase choose kind = 'l1'")


class TwoPhase(LinearHead):
    """Mean absolute error, each step by the output of its own phase; outputs: K of scored steps, K of the others."""

    target_levels = ("step",)

    def __init__(self, config: Config, hidden: int, targets: Targets) -> None:
        super().__init__(config, hidden, targets.count, outputs=2 * targets.count)
        self.other = config.other

    def weighted_sum(self, own: Tensor, y: Tensor, weight: Tensor, known: Tensor | None) -> Tensor:
        scored_output, other_output = own.chunk(2, dim=-1)
        errors = (other_output - y).abs()  # (B, T, K)
        if known is not None:
            errors = errors * known  # padding and steps without a label count for no phase
        return (self.error(scored_output, y) * weight + errors.mean(dim=-1) * (self.other * (weight == 0))).sum()

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        """Return the L1 error of one phase's output: (B, T, K), (B, T, K) -> (B, T)."""
        return (own - y).abs().mean(dim=-1)

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        scored_output, other_output = self.own(raw).chunk(2, dim=-1)
        return torch.where(scored.unsqueeze(-1), scored_output, other_output)
