"""Pooling over time, for targets of whole series: (B, T, H) -> (B, 1, H'), H' = H for each kind of it, joined.

    mean         of the real steps
    max          of each channel over the real steps
    last         the last real step
    attention    mean weighted by softmax over the steps of query . h_t / sqrt(H), the query learned (Yang et al. 2016,
                 https://aclanthology.org/N16-1174, section 2.2, without its hidden layer: the body has those)

Default: mean, max and last, joined, as in ULMFiT (Howard & Ruder 2018, https://arxiv.org/abs/1801.06146, section 3.3,
"concat pooling"): what holds on the whole, what happens once, and how it ends; no weights but the head's. Padding, its
NaN and infinity included, changes nothing.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from foldline.models.contract import Head

Pool = Literal["mean", "max", "last", "attention"]
DEFAULT: tuple[Pool, ...] = ("mean", "max", "last")


class Pooling(nn.Module):
    """(B, T, H) -> (B, 1, H'); `width` is H'."""

    def __init__(self, pools: tuple[Pool, ...], hidden: int) -> None:
        """hidden: H. Raises ValueError where there is no pool, or one twice."""
        super().__init__()
        if not pools or len(set(pools)) < len(pools):
            raise ValueError(f"pool must hold different kinds of pooling, at least one, but is {list(pools)}.")
        self.pools, self.width = tuple(pools), hidden * len(pools)
        self.query = nn.Parameter(torch.randn(hidden)) if "attention" in pools else None

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """hidden: (B, T, H); mask: (B, T) bool, True at real steps, at least one in each series; None: all are."""
        if mask is None:
            mask = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
        real = mask.unsqueeze(-1)  # (B, T, 1)
        clean = hidden.masked_fill(~real, 0)
        return torch.cat([self._pooled(pool, clean, real) for pool in self.pools], dim=-1).unsqueeze(1)

    def _pooled(self, pool: Pool, clean: Tensor, real: Tensor) -> Tensor:
        """Return (B, H). clean: (B, T, H), 0 at padded steps; real: (B, T, 1) bool."""
        if pool == "mean":
            return clean.sum(dim=1) / real.sum(dim=1)
        if pool == "max":
            return clean.masked_fill(~real, -torch.inf).amax(dim=1)
        if pool == "last":
            places = torch.arange(clean.shape[1], device=clean.device).view(1, -1, 1)  # (1, T, 1)
            last = places.masked_fill(~real, -1).amax(dim=1, keepdim=True)
            return (clean * (places == last)).sum(dim=1)  # a gather's backward pass is not deterministic on a GPU
        assert self.query is not None
        scores = (clean @ self.query).unsqueeze(-1) / clean.shape[2] ** 0.5  # (B, T, 1)
        weights: Tensor = scores.masked_fill(~real, -torch.inf).softmax(dim=1)
        return (clean * weights).sum(dim=1)


class PooledHead(Head):
    """A head on pooled steps: targets, weights and scored steps are (B, 1, ...)."""

    def __init__(self, pooling: Pooling, inner: Head) -> None:
        super().__init__()
        self.pooling, self.inner = pooling, inner

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        raw: Tensor = self.inner(self.pooling(hidden, mask))
        return raw

    def loss_sum(self, raw: Tensor, y: Tensor, weight: Tensor, known: Tensor | None) -> Tensor:
        return self.inner.loss_sum(raw, y, weight, known)

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        return self.inner.predict(raw, scored)

    def spread(self, raw: Tensor) -> Tensor | None:
        return self.inner.spread(raw)
