"""Classification over the values that a target can take, decoded by the median. (B, T, H) -> (B, T, sum of the counts).

Where a target's values lie on an even grid (the ventilator's pressure: 950 of them), a distribution over the grid can
have two peaks, which no location has. Labels are softened over neighbours (Diaz & Marathe 2019,
https://doi.org/10.1109/CVPR.2019.00487), here by a triangle: with soften = 1 a value on the grid is that class alone,
and one between two points (mixup makes such) is split in proportion. The prediction is the median of the distribution,
which minimises the mean absolute error; the most probable class does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from foldline.models.contract import Targets
from foldline.models.heads.linear import HeadConfig, LinearHead


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `grid` head."""

    soften: float = 2.0  # grid steps at which a label's weight has fallen to 0; 1: no neighbour gets any

    def __post_init__(self) -> None:
        if not self.soften >= 1:
            raise ValueError(
                "soften must be at least 1 grid step, so that a value between two points has a label, "
                f"but is {self.soften}"
            )


class Grid(LinearHead):
    """Cross entropy, in nats, with softened labels; outputs: the logits of each target's grid, one after another.

    The logits are by far the largest tensor of a network, so a label is never spread over the whole grid: it touches
    W = 2 * soften classes (soften rounded up), and only those are gathered.
    """

    def __init__(self, config: Config, hidden: int, targets: Targets) -> None:
        """Make the head; raises ValueError where a target has no grid."""
        grids = targets.grids or (None,) * targets.count
        self.grids = tuple(grid for grid in grids if grid is not None)
        if len(self.grids) < targets.count:
            raise ValueError(
                "The grid head needs targets whose training values lie on an even grid, but target "
                f"{grids.index(None)} has none: choose another head for it, such as laplace."
            )
        self.counts, self.soften = [count for _, _, count in self.grids], config.soften
        super().__init__(config, hidden, targets.count, outputs=sum(self.counts))

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        nats = []
        for (offset, step, count), logits, value in zip(self.grids, self._logits(own), y.unbind(-1), strict=True):
            classes, weights = self.labels((value - offset) / step, count)
            nats.append(-(logits.log_softmax(dim=-1).gather(-1, classes) * weights).sum(dim=-1))
        return torch.stack(nats).mean(dim=0)

    def labels(self, position: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return the softened labels of values at `position` (B, T), in grid steps from the first point.

        Returns classes (B, T, W) int64 and their weights (B, T, W), which sum to 1; beyond an end: the end's own.
        """
        position = position.clamp(0, count - 1).unsqueeze(-1)
        reach = math.ceil(self.soften)
        near = position.floor() + torch.arange(1 - reach, reach + 1, device=position.device)  # (B, T, W)
        weights = (1 - (near - position).abs() / self.soften).clamp(min=0)
        weights = weights * ((near >= 0) & (near < count))
        return near.clamp(0, count - 1).long(), weights / weights.sum(dim=-1, keepdim=True)

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        medians = []
        for (offset, step, _), cumulative in self._cumulative(raw):
            half = torch.full_like(cumulative[..., :1], 0.5)
            index = torch.searchsorted(cumulative, half)  # (B, T, 1), the first value of at least 1/2
            medians.append(
                offset + step * index + 0 * cumulative[..., -1:]
            )  # 0 * NaN: of NaN logits the prediction is NaN
        return torch.cat(medians, dim=-1)

    def spread(self, raw: Tensor) -> Tensor:
        """Return E |value - median|, (B, T, K): over the grid's gaps, the probability of the side off the median."""
        gaps = [
            step * torch.minimum(below, 1 - below).clamp(min=0).sum(dim=-1)
            for (_, step, _), below in self._cumulative(raw)
        ]
        return torch.stack(gaps, dim=-1)

    def _logits(self, own: Tensor) -> tuple[Tensor, ...]:
        """Split outputs into the logits of each target, (B, T, count)."""
        return torch.split(own, self.counts, dim=-1)

    def _cumulative(self, raw: Tensor) -> Iterator[tuple[tuple[float, float, int], Tensor]]:
        """Yield each target's grid, and the cumulative probability of its values, (B, T, count)."""
        for grid, logits in zip(self.grids, self._logits(self.own(raw)), strict=True):
            yield grid, logits.softmax(dim=-1).cumsum(dim=-1)
