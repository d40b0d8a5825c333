"""Auxiliary targets, for every head: differences of the target, its second difference, its running mean.

    head = {kind = "l1", aux = {differences = [1, 2, 3, 4], weight = 0.2}}

The 3rd place of the ventilator competition let its network also predict y_t - y_{t-n}: the shape of the curve, beside
its level. Each auxiliary target has linear outputs of its own, an L1 loss, and no part in the prediction. Nothing is
scaled: they are in the units of the scaled target, so that an error of 1 in a difference costs as much as in the
target.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Aux:
    """Table `aux` of a head; an empty one means these defaults."""

    differences: tuple[int, ...] = (1, 2, 3, 4)  # lags n, in steps: y_t - y_{t-n}
    second: bool = False  # y_t - 2 y_{t-1} + y_{t-2}
    cumulative: bool = False  # mean of y over the scored steps up to t: the running sum, kept at the size of y
    weight: float = 0.2  # of the auxiliary targets' mean loss, beside the head's own of weight 1

    def __post_init__(self) -> None:
        if len(set(self.differences)) < len(self.differences) or min(self.differences, default=1) < 1:
            raise ValueError(f"differences must be different lags of at least 1 step, but is {list(self.differences)}")
        if not self.weight > 0:
            raise ValueError(f"weight must be above 0, but is {self.weight}; without aux there are no such targets")
        if self.count == 0:
            raise ValueError("aux must have at least one target: name differences, or set second or cumulative")

    @property
    def count(self) -> int:
        """Number of auxiliary targets per target."""
        return len(self.differences) + self.second + self.cumulative

    def weighted_sum(self, raw: Tensor, y: Tensor, weight: Tensor, known: Tensor | None = None) -> Tensor:
        """Sum the weighted loss over all steps, a scalar.

        A step counts where every step that its target is computed from is scored and known.

        raw: (B, T, count * K), target after target within each kind; y: (B, T, K); weight: (B, T); known: (B, T, K)
        bool, None: all are.
        """
        scored = (weight > 0).unsqueeze(-1).expand_as(y)
        targets, valid = zip(*self._targets(y, scored if known is None else scored & known), strict=True)
        predicted = raw.reshape(*y.shape[:2], self.count, y.shape[2])
        errors = (predicted - torch.stack(targets, dim=2)).abs() * torch.stack(valid, dim=2)  # (B, T, count, K)
        return self.weight * (errors.mean(dim=(-1, -2)) * weight).sum()

    def _targets(self, y: Tensor, counted: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each auxiliary target (B, T, K) and where it can be computed, (B, T, K) bool."""
        for lag in self.differences:
            yield y - earlier(y, lag), counted & earlier(counted, lag)
        if self.second:
            both = earlier(counted, 1) & earlier(counted, 2)
            yield y - 2 * earlier(y, 1) + earlier(y, 2), counted & both
        if self.cumulative:
            sums = torch.cumsum(y * counted, dim=1)
            yield sums / counted.cumsum(dim=1).clamp(min=1), counted


def earlier(values: Tensor, lag: int) -> Tensor:
    """Shift (B, T, ...) by `lag` steps: zeros, or False, where there is no such step."""
    first = torch.zeros_like(values[:, :lag])
    return torch.cat([first, values[:, :-lag]], dim=1)
