"""What a session's lung leaves: breath effects, a Gaussian process and noise, as covariances of a breath's rows.

    pressure = lung(session, effects) + drift(t) + drop(t) flutter(t) + sum of inflow(t) stray(t) + sensor noise

All three processes are Ornstein-Uhlenbeck's. Flutter is a share of the pressure that the flow costs in the airway;
stray is a share of the flow itself, and what it brings into the lung stays there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ventilator.controller import Array
from ventilator.estimation.inspirations import Inspirations, Run


@dataclass(frozen=True, kw_only=True)
class Process:
    """Sizes of all that varies within a session."""

    gain: float = 0.03  # sd of a breath's log gain of the valve
    resistance: float = 0.082  # the same of the log of resistance and turbulence
    compliance: float = 0.032  # and of compliance
    start: float = 0.07  # cmH2O, sd of the pressure at row 0
    volume: float = 0.07  # cmH2O, sd of the recoil at row 0 about that pressure
    drift: float = 0.35  # cmH2O, sd
    drift_s: float = 5.0  # s, in which its correlation falls to 1/e
    flutter: float = 0.059  # sd as a share of the drop
    flutter_s: float = 0.093  # s
    stray: float = 0.17  # sd of a share of the inflow
    stray_s: float = 0.15  # s
    timing: float = 0.08  # sd of a reading as a share of the step of the pressure around it: it comes early or late
    sensor: float = 0.15  # cmH2O, sd of a reading
    tail: float = 2.8  # degrees of freedom of a breath's t distribution

    def effects(self) -> Array:
        """Return the variances (5,) of the breath effects, in the order of `parameters.EFFECTS`."""
        return np.array([self.gain, self.resistance, self.compliance, self.start, self.volume]) ** 2


def remainder(process: Process, run: Run, breaths: Inspirations, compliance: Array) -> Array:
    """Compute the covariance (N, T, T) of readings about a run with the breath's true effects; compliance (N,)."""
    cov = shared(process, run, breaths, compliance)
    rows = np.arange(cov.shape[1])
    step = np.abs(np.diff(run.pressure, axis=1, prepend=run.pressure[:, :1]))
    after = step.copy()  # the last row of a breath has no step after it
    after[:, :-1] = np.where(breaths.there[:, 1:], step[:, 1:], step[:, :-1])
    cov[:, rows, rows] += process.sensor**2 + (process.timing * 0.5 * (step + after)) ** 2
    return cov


def shared(process: Process, run: Run, breaths: Inspirations, compliance: Array) -> Array:
    """Compute the part of `remainder` that neighbouring rows share: drift, flutter and stored flutter."""
    time = np.cumsum(breaths.dt, axis=1)
    apart = np.abs(time[:, :, None] - time[:, None, :])
    cov = process.drift**2 * np.exp(-apart / process.drift_s)
    cov += run.drop[:, :, None] * run.drop[:, None, :] * (process.flutter**2 * np.exp(-apart / process.flutter_s))
    inflow = run.flow * breaths.dt / compliance[:, None]  # cmH2O of recoil a row
    stored = process.stray**2 * np.exp(-apart / process.stray_s) * inflow[:, :, None] * inflow[:, None, :]
    return np.asarray(cov + np.cumsum(np.cumsum(stored, axis=1), axis=2))


def masked(cov: Array, known: NDArray[np.bool_]) -> Array:
    """Return covariances (N, T, T) in which rows that are not known (N, T) are independent, of variance 1."""
    out = np.where(known[:, :, None] & known[:, None, :], cov, 0.0)
    rows = np.arange(known.shape[1])
    out[:, rows, rows] += ~known
    return out
