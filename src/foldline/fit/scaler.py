"""Scaling of features and targets, fitted on the training part of a fold and on nothing else.

The even grid that a target's values lie on, if they do, is detected here too: a head that classifies needs it.
Statistics come from a sample of series: sorting all rows of the full competition costs more than making its features.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from foldline.core.errors import unknown
from foldline.data.store import Store
from foldline.data.target_grid import Grid, detect_grids
from foldline.models.contract import Targets

SAMPLE = 4096  # series whose rows the statistics are taken from; fewer series: all of them
VALUES_PER_CHUNK = 1 << 25  # of features held as float64 at once: 256 MiB
KINDS = ("robust", "standard", "none")
ARRAYS = ("center", "scale", "y_center", "y_scale")


@dataclass(frozen=True)
class Scaler:
    """x -> (x - center) / scale, for F features and K targets (float64)."""

    center: np.ndarray  # (F,)
    scale: np.ndarray  # (F,) never 0
    y_center: np.ndarray  # (K,)
    y_scale: np.ndarray  # (K,) never 0
    grids: tuple[Grid | None, ...]  # (K,) of the targets, in their own units

    @property
    def targets(self) -> Targets:
        """The scaled targets, as a network sees them."""
        scaled = (
            None if grid is None else ((grid.offset - center) / scale, grid.step / scale, grid.count)
            for grid, center, scale in zip(self.grids, self.y_center.tolist(), self.y_scale.tolist(), strict=True)
        )
        return Targets(count=len(self.y_center), grids=tuple(scaled))

    def to_json(self) -> dict[str, Any]:
        """Return the content of scaler.json."""
        grids = [None if grid is None else asdict(grid) for grid in self.grids]
        return {name: getattr(self, name).tolist() for name in ARRAYS} | {"grids": grids}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Scaler:
        """Read what `to_json` returned."""
        grids = tuple(None if grid is None else Grid(**grid) for grid in value["grids"])
        return Scaler(**{name: np.asarray(value[name], dtype=np.float64) for name in ARRAYS}, grids=grids)


def fit(kind: str, data: Store, series: np.ndarray, seed: int) -> Scaler:
    """Fit a scaler on some series only.

    Targets are always scaled by the median and the mean absolute deviation of their scored rows: an L1 loss then
    starts near 1.

    Args:
        kind: "robust": median, and the distance of the 10 and 90 % quantiles over 2.56 (for a normal distribution its
            standard deviation); "standard": mean and standard deviation; "none": features stay as they are.
        series: (n,) indices into `data`.
        seed: of the sample that stands for more than SAMPLE series.

    Raises:
        UserError: there is no such kind.
    """
    if kind not in KINDS:
        raise unknown("scaler", kind, KINDS, "features.scaler")
    if len(series) > SAMPLE:
        series = np.sort(np.random.default_rng(seed).choice(series, SAMPLE, replace=False))
    assert data.labelled, "a scaler is fitted on labelled series"
    rows = data.rows(series)
    center, scale = _statistics(kind, data.features(rows))
    targets = np.asarray(data.y[rows[data.scored[rows]]])
    y_center = np.median(targets, axis=0)
    y_scale = np.abs(targets - y_center).mean(axis=0)
    return Scaler(center, scale, y_center, np.where(y_scale > 0, y_scale, 1.0), tuple(detect_grids(targets)))


def _statistics(kind: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return center and scale, each (F,) float64, of the columns of x, (r, F) float32."""
    if kind == "none":
        return np.zeros(x.shape[1]), np.ones(x.shape[1])
    # Parts of at least two columns: numpy sums a single one in another order, which changes last bits.
    count = max(1, min(x.shape[1] // 2, -(-x.size // VALUES_PER_CHUNK)))
    parts = np.array_split(np.arange(x.shape[1]), count)
    center, scale = zip(*(_column_statistics(kind, x[:, part].astype(np.float64)) for part in parts), strict=True)
    return np.concatenate(center), np.concatenate(scale)


def _column_statistics(kind: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return center and scale, each (f,), of the columns of rows, (r, f); a constant column has scale 1."""
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    if kind == "robust":
        low, center, high = np.quantile(rows, [0.1, 0.5, 0.9], axis=0)
        wide = high - low > 1e-3 * deviation  # else it hardly ever moves, as a rare flag does: mean and deviation
        mean, deviation = np.where(wide, center, mean), np.where(wide, (high - low) / 2.56, deviation)
    return mean, np.where(deviation > 0, deviation, 1.0)
