"""Measure recorded breaths without fitting a lung: clocks, first pressures, and the noise around a fitted lung.

Used by `ventilator.calibrate`; every function takes the breaths of one session.
"""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ventilator.controller import STEPS, Array
from ventilator.lung import REST_PRESSURE
from ventilator.rig import STUTTER_S, STUTTER_SHARE, phases

SETTLED: Final = 5  # rows of inspiration after which the closing of the expiratory valve no longer shows
TREND_DEGREE: Final = 3  # of the polynomial taken from a breath's residual before its flutter is measured
WEAK_DROP: Final = 0.3  # cmH2O of resistive pressure below which flutter is not visible
FIRST_PHASE_S: Final = (0.0013, 0.0035)  # tau_0 of a run's first breath; those of later breaths spread over a row
LARGEST_FLUTTER: Final = 0.5  # share of the drop; beyond it a value is an outlier, and is clipped


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """N breaths of 80 rows of the competition's columns; pressure is nan where unknown."""

    breath_id: NDArray[np.int64]  # (N,)
    r: NDArray[np.int64]  # (N,) cmH2O/(L/s)
    c: NDArray[np.int64]  # (N,) mL/cmH2O
    time_step: Array  # (N, 80) s
    u_in: Array  # (N, 80) %
    u_out: Array  # (N, 80) 0 or 1
    pressure: Array  # (N, 80) cmH2O

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Self:
        """Read a table of the competition's columns; `pressure` may be missing or hold nulls.

        Raises:
            ValueError: if a breath has not 80 rows.
        """
        if "pressure" not in frame.columns:
            frame = frame.with_columns(pressure=pl.lit(None, dtype=pl.Float64))
        frame = frame.sort("breath_id", "time_step", maintain_order=True)
        # In order, so that the message names the same breath in every run.
        sizes = frame.group_by("breath_id", maintain_order=True).len().filter(pl.col("len") != STEPS)
        if len(sizes):
            breath, rows = sizes.row(0)
            raise ValueError(f"A breath has {STEPS} rows, but breath {breath} has {rows}; {len(sizes)} such breaths.")
        table = {name: frame[name].to_numpy().reshape(-1, STEPS) for name in frame.columns}
        return cls(
            breath_id=table["breath_id"][:, 0].astype(np.int64),
            r=table["R"][:, 0].astype(np.int64),
            c=table["C"][:, 0].astype(np.int64),
            time_step=table["time_step"].astype(np.float64),
            u_in=table["u_in"].astype(np.float64),
            u_out=table["u_out"].astype(np.float64),
            pressure=table["pressure"].astype(np.float64),
        )

    def __len__(self) -> int:
        return len(self.r)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Return (N,) whether any pressure of a breath is known."""
        return np.asarray(~np.isnan(self.pressure).all(axis=1))

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """Return the breaths at the given places."""
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


def clock(breaths: Recorded) -> dict[str, float]:
    """Measure period, its spread between breaths, jitter and stutter (s) of a session's rows."""
    dt = np.diff(breaths.time_step, axis=1)
    late = dt > np.median(dt, axis=1, keepdims=True) + STUTTER_S
    plain = np.where(late, np.nan, dt)
    period = np.nanmean(plain, axis=1)
    excess = dt - period[:, None]
    return {
        "period": float(period.mean()),
        "period_spread": float(period.std()),
        "jitter": float(np.nanstd(np.where(late, np.nan, excess))),
        "stutter": float(np.median(excess[late])) if late.mean() > STUTTER_SHARE else 0.0,
    }


def first_pressures(breaths: Recorded) -> Array:
    """Return the pressures (N,), cmH2O, of the first rows; an unknown one is the median of its kind.

    Kinds: a run's first breath starts lower, a breath whose PI loop runs on (no phase) at another pressure again.
    """
    low, high = FIRST_PHASE_S
    tau_0 = phases(breaths.time_step, breaths.u_in)
    kind = np.where(np.isnan(tau_0), 2, (tau_0 > low) & (tau_0 < high))
    first = breaths.pressure[:, 0].copy()
    for k in range(3):
        own = kind == k
        if np.isnan(first[own]).any():
            known = first[own & ~np.isnan(first)]
            first[own & np.isnan(first)] = np.median(known) if len(known) else REST_PRESSURE
    return first


def start(breaths: Recorded) -> float:
    """Measure the pressure (cmH2O) at which a session's runs begin.

    A run's first breath has a phase of 1.5 to 3 ms. Where there is no such breath, or no phase can be read, the middle
    of the lowest third of all first rows stands for it, for a third of a sweep's breaths are first ones; where no first
    row is known, REST_PRESSURE.
    """
    low, high = FIRST_PHASE_S
    tau_0 = phases(breaths.time_step, breaths.u_in)
    first = (tau_0 > low) & (tau_0 < high) & ~np.isnan(breaths.pressure[:, 0])
    if first.any():
        return float(np.median(breaths.pressure[first, 0]))
    known = breaths.pressure[~np.isnan(breaths.pressure[:, 0]), 0]
    return float(np.quantile(known, 1 / 6)) if len(known) else REST_PRESSURE


def flutter(residual: Array, drop: Array) -> dict[str, float]:
    """Fit an autoregression of order 2 to the inflow's fluctuation, from the residual of a fitted lung.

    Args:
        residual: (N, T) cmH2O, nan outside inspiration; its slow part is removed, breath by breath.
        drop: (N, T) cmH2O that the inflow costs in the airway: the scale of the fluctuation.

    Returns:
        flutter, the sd as a share of the drop, and its coefficients flutter_1 and flutter_2 (Yule-Walker).
    """
    relative = np.array([_detrended(r, d) for r, d in zip(residual, drop, strict=True)])
    lags = [np.nanmean(relative[:, k:] * relative[:, : relative.shape[1] - k]) for k in range(3)]
    one, two = lags[1] / lags[0], lags[2] / lags[0]
    first = one * (1.0 - two) / (1.0 - one * one)
    second = (two - one * one) / (1.0 - one * one)
    return {"flutter": float(np.sqrt(lags[0])), "flutter_1": float(first), "flutter_2": float(second)}


def _detrended(residual: Array, drop: Array) -> Array:
    """Return one breath's residual (T,) without its trend, as a share of the drop; nan where that is weak."""
    rows = np.flatnonzero(~np.isnan(residual))
    rows = rows[rows >= SETTLED]
    relative = np.full(len(residual), np.nan)
    if len(rows) > 3 * TREND_DEGREE:  # fewer rows would follow the trend and leave no fluctuation
        trend = np.polynomial.Polynomial.fit(rows, residual[rows], TREND_DEGREE)
        strong = rows[drop[rows] > WEAK_DROP]
        relative[strong] = (residual[strong] - trend(strong)) / drop[strong]
    return np.asarray(np.clip(relative, -LARGEST_FLUTTER, LARGEST_FLUTTER))
