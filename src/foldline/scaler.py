"""Scaling of features and targets, fitted on the training part of a fold and on nothing else.

Quantiles come from a sample of series: sorting all rows of the full competition costs more than making its features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foldline.errors import unknown
from foldline.store import Dense

SAMPLE = 4096  # series whose rows the statistics are taken from; fewer series: all of them
KINDS = ("robust", "standard", "none")


@dataclass(frozen=True)
class Scaler:
    """x -> (x - center) / scale, for F features and K targets (float64)."""

    center: np.ndarray  # (F,)
    scale: np.ndarray  # (F,) never 0
    y_center: np.ndarray  # (K,)
    y_scale: np.ndarray  # (K,) never 0

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name).tolist() for name in ("center", "scale", "y_center", "y_scale")}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Scaler:
        return Scaler(**{name: np.asarray(items, dtype=np.float64) for name, items in value.items()})


def fit(kind: str, data: Dense, series: np.ndarray, seed: int) -> Scaler:
    """Fit on the given series (indices into `data`) only.

    robust: median, and the distance of the 10 and 90 % quantiles over 2.56 (a normal's standard deviation);
    standard: mean and standard deviation; none: features stay as they are. Targets are always scaled by the median
    and the mean absolute deviation of their scored rows, which leaves an L1 loss near 1 at the start.
    """
    if kind not in KINDS:
        raise unknown("scaler", kind, KINDS, "features.scaler")
    if len(series) > SAMPLE:
        series = np.sort(np.random.default_rng(seed).choice(series, SAMPLE, replace=False))
    rows = np.asarray(data.x[series], dtype=np.float64)[data.mask[series]]
    center, scale = _statistics(kind, rows)
    assert data.y is not None, "a scaler is fitted on labelled series"
    targets = np.asarray(data.y[series])[data.scored[series]]
    y_center = np.median(targets, axis=0)
    y_scale = np.abs(targets - y_center).mean(axis=0)
    return Scaler(center, scale, y_center, np.where(y_scale > 0, y_scale, 1.0))


def _statistics(kind: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Center and scale of each column; a column that is binary or constant is only centred or left alone."""
    if kind == "none":
        return np.zeros(rows.shape[1]), np.ones(rows.shape[1])
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    if kind == "robust":
        low, center, high = np.quantile(rows, [0.1, 0.5, 0.9], axis=0)
        wide = high - low > 1e-3 * deviation  # else the column hardly ever moves: its quantiles say nothing
        mean, deviation = np.where(wide, center, mean), np.where(wide, (high - low) / 2.56, deviation)
    return mean, np.where(deviation > 0, deviation, 1.0)
