"""The range and the digits of each target in training: the submission gate compares predictions with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TargetRange:
    """Range and digits of one target in training."""

    low: float
    high: float
    coarse: bool  # three digits print every value

    @staticmethod
    def of(y: np.ndarray) -> list[TargetRange]:
        """Measure each column of y, (R, K)."""
        return [TargetRange(float(values.min()), float(values.max()), is_coarse(values)) for values in y.T]


def is_coarse(values: np.ndarray) -> bool:
    """Return whether three digits print every value, (n,); about 1,000 of the distinct values are checked."""
    distinct = np.unique(values)
    some = distinct[:: max(1, len(distinct) // 1000)]
    return all(float(f"{value:.3g}") == value for value in some.tolist())
