"""The range and the digits of each target in training: what the submission gate holds predictions against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Expected:
    """What a target looked like in training: the gate holds predictions against it."""

    low: float
    high: float
    coarse: bool  # three digits print every value

    @staticmethod
    def of(y: np.ndarray) -> list[Expected]:
        """One for each column of y: (R, K)."""
        return [Expected(float(values.min()), float(values.max()), is_coarse(values)) for values in y.T]


def is_coarse(values: np.ndarray) -> bool:
    """Return whether three digits print every value, (n,); about 1,000 of the distinct values are checked."""
    distinct = np.unique(values)
    some = distinct[:: max(1, len(distinct) // 1000)]
    return all(float(f"{value:.3g}") == value for value in some.tolist())
