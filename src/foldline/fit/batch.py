"""A batch: the series, or windows of series, of one training step, as tensors on the device.

B series, T steps, F features, S static columns of at most L codes, K targets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from foldline.core.chunks import chunks
from foldline.models import packing


@dataclass(frozen=True)
class Batch:
    """Series of one training step."""

    x: Tensor  # (B, T, F) float32, scaled
    static: Tensor  # (B, S) int64 codes, or (B, S, L) float weights over codes where statics are mixed
    mask: Tensor | None  # (B, T) bool, real steps; None where all are
    y: Tensor  # (B, T, K) float32, scaled; meaningless where it is not known
    weight: Tensor  # (B, T) float32, how much a step counts in the loss
    scored: Tensor  # (B, T) bool, steps that the metric counts, whether or not they have a label here
    known: Tensor | None  # (B, T, K) bool, targets whose value is given; None where all are, and all steps are real
    has_unknown: bool  # whether a real step of its block has an unknown target; reading `known` waits for a GPU
    auxiliary: Tensor | None = None  # (B, T, columns) float32, auxiliary targets, scaled; NaN: not known; None: none
    # (B,) int64 on the host, real steps of each series as `mask` has them; None: the host does not know, or all are
    lengths: Tensor | None = None

    def __post_init__(self) -> None:
        if self.mask is not None and self.lengths is not None:
            packing.set_lengths(self.mask, self.lengths)  # else the first recurrent layer waits for a GPU

    def parts(self, size: int) -> list[Batch]:
        """Cut the batch into parts of at most `size` series; 0: one part."""
        if not 0 < size < len(self.x):
            return [self]
        return [self.some(part) for part in chunks(len(self.x), size)]

    def some(self, series: slice) -> Batch:
        """Return some of the series."""
        tensors: dict[str, Any] = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{name: value[series] for name, value in tensors.items()})
