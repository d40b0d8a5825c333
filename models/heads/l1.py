"""L1 regression: the competition's own metric as the loss. (B, T, H) -> (B, T, K)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from models.base import Head


@dataclass(frozen=True, kw_only=True)
class Config:
    """Table of the `l1` head: it has no parameters."""


class L1(Head):
    """One linear map; mean absolute error over the scored steps."""

    def __init__(self, config: Config, hidden: int, targets: int) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, targets)

    def forward(self, hidden: Tensor) -> Tensor:
        raw: Tensor = self.out(hidden)
        return raw

    def loss(self, raw: Tensor, y: Tensor, scored: Tensor) -> Tensor:
        error = (raw - y).abs().mean(dim=-1)  # (B, T)
        return (error * scored).sum() / scored.sum().clamp(min=1)

    def predict(self, raw: Tensor) -> Tensor:
        return raw
