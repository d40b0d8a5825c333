"""What the controller says of rows that nobody can decode: exact sums, and bounds where its command was clipped.

The integral follows the pressure: I_j = (1 - a_j) I_{j-1} + a_j e_j. Two known integrals with open rows between them
give one linear equation of their errors; the posterior is conditioned on it. Where the command was clipped, PI <= 0 or
PI >= 100 bounds I and e; followed forward from a known integral, samples of the posterior that break a bound are
dropped. Backward in time the integral's error grows, and bounds do more harm than good.

Two guards: in an exploration breath without a bump a negative one may hide behind u_in = 0; and a bump that never ends
within the breath is only a guess where nothing is known any more.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ventilator.controller import U_MAX, Array, smoothing
from ventilator.estimation.inspirations import Inspirations
from ventilator.estimation.known import Known
from ventilator.measure import Recorded

SAMPLES: Final = 1024  # of a breath's open rows
FEWEST: Final = 64  # samples kept; those that break the bounds least, where fewer keep them
SLACK: Final = 1e-6  # cmH2O of error by which rounding may break a bound


@dataclass(frozen=True)
class Controlled:
    """One breath's controller over the T rows of its inspiration."""

    kp: float
    ki: float
    kt: float
    a: Array  # (T,) smoothing weights
    integral: Array  # (T,) cmH2O, nan where unknown
    known: NDArray[np.bool_]  # (T,) whether the pressure is known
    side: NDArray[np.int64]  # (T,) -1: PI <= edge, 1: PI >= edge, 0: no bound
    edge: Array  # (T,) %

    @property
    def told_from(self) -> int:
        """Return the first row whose integral is known; the row before row 1 where it has no effect; T if none is."""
        if self.ki == 0.0:
            return 0  # row 0 has another target
        found = np.flatnonzero(~np.isnan(self.integral))
        return int(found[0]) if len(found) else len(self.a)


def constrained(breaths: Recorded, known: Known, rows: Inspirations, mean: Array, cov: Array) -> tuple[Array, Array]:
    """Condition the Gaussians of N breaths on what their controllers say.

    Args:
        breaths: N breaths, whose breath_id seeds its samples: what is estimated with a breath does not matter.
        known: what is known of them.
        rows: their inspirations, T rows.
        mean: (N, T), cmH2O.
        cov: (N, T, T), cmH2O^2; 0 at known rows.

    Returns:
        Means and sds (N, T), cmH2O.
    """
    mean, sd = mean.copy(), np.sqrt(np.maximum(np.einsum("ntt->nt", cov), 0.0))
    for i, one in enumerate(controlled(breaths, known, rows)):
        if one is None:
            continue
        mean[i], own = condition_on_sums(one, mean[i], cov[i])
        sd[i] = np.sqrt(np.maximum(np.diag(own), 0.0))
        sampled = sample_bounds(one, mean[i], own, np.random.default_rng(abs(int(breaths.breath_id[i]))))
        if sampled is not None:
            mean[i], sd[i] = sampled
    return mean, sd


def controlled(breaths: Recorded, known: Known, rows: Inspirations) -> list[Controlled | None]:
    """Gather the controllers of N breaths; None where none was found."""
    length = rows.there.shape[1]
    bump, clip = known.bump[:, :length], np.where(rows.there, known.clip[:, :length], 0)
    hidden = known.explores(breaths) & ~np.any(np.nan_to_num(bump) != 0.0, axis=1)
    # Under a negative bump u_in = 0 says PI <= -bump; a row that is bump alone says PI <= 0.
    at_end = (rows.u_in <= 0.0) | (rows.u_in >= U_MAX)
    edge = np.where(clip == 1, U_MAX, 0.0) - np.where(at_end, np.nan_to_num(bump), 0.0)
    side = np.where(np.isnan(bump) | hidden[:, None] | _endless(bump, known, rows), 0, clip)
    a = smoothing(rows.dt)
    return [
        Controlled(
            float(known.kp[i]),
            float(known.ki[i]),
            float(known.kt[i]),
            a[i],
            known.integral[i, :length],
            ~np.isnan(known.pressure[i, :length]),
            side[i],
            edge[i],
        )
        if not np.isnan(known.kt[i])
        else None
        for i in range(len(breaths))
    ]


def _endless(bump: Array, known: Known, rows: Inspirations) -> NDArray[np.bool_]:
    """Return the rows (N, T) under a bump that has not ended when the inspiration does, behind the last exact row."""
    length = bump.shape[1]
    under = np.nan_to_num(bump) != 0.0
    to_the_end = np.logical_and.accumulate((under | ~rows.there)[:, ::-1], axis=1)[:, ::-1]
    told = ~np.isnan(known.pressure[:, :length])
    later = np.logical_or.accumulate(told[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(to_the_end & ~later & rows.there)


def condition_on_sums(one: Controlled, mean: Array, cov: Array) -> tuple[Array, Array]:
    """Condition a breath's Gaussian (T,), (T, T) on every exact sum; rows that are known have no variance."""
    for weights, total in sums(one):
        with_sum = cov @ weights
        variance = float(weights @ with_sum)
        gain = with_sum / variance
        mean = mean + gain * (total - float(weights @ mean))
        cov = cov - np.outer(gain, with_sum)
    return mean, cov


def sums(one: Controlled) -> list[tuple[Array, float]]:
    """Return the equations `weights @ pressure = total` (cmH2O) between known integrals with open rows between."""
    found = []
    ends = np.flatnonzero(~np.isnan(one.integral))
    for first, last in pairwise(ends):
        between = np.arange(first + 1, last + 1)
        if np.all(one.known[between]):
            continue
        keep = 1.0 - one.a[between]
        after = np.append(np.cumprod(keep[::-1])[::-1][1:], 1.0)  # what the later rows leave of a row's error
        weights = np.zeros(len(one.a))
        weights[between] = one.a[between] * after
        left = one.integral[last] - np.prod(keep) * one.integral[first]  # weights @ (kt - pressure)
        found.append((weights, float(one.kt * weights.sum() - left)))
    return found


def sample_bounds(one: Controlled, mean: Array, cov: Array, rng: np.random.Generator) -> tuple[Array, Array] | None:
    """Draw samples of the open rows that keep the bounds ahead of a known integral.

    Returns:
        Their mean and sd (T,), or None where no open row is bounded.
    """
    bounded = (one.side != 0) & ~one.known & (np.arange(len(mean)) > one.told_from)
    if not bounded.any():
        return None
    open_rows = np.flatnonzero(np.diag(cov) > 0.0)
    values, vectors = np.linalg.eigh(cov[np.ix_(open_rows, open_rows)])
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    drawn = np.tile(mean, (SAMPLES, 1))
    drawn[:, open_rows] += rng.standard_normal((SAMPLES, len(open_rows))) @ root.T
    kept = _least_broken(_broken(one, drawn, bounded))
    return drawn[kept].mean(axis=0), drawn[kept].std(axis=0)


def _broken(one: Controlled, pressure: Array, bounded: NDArray[np.bool_]) -> Array:
    """Compute by how much samples (M, T) break the bounds, in cmH2O of error over all rows (M,)."""
    scale = max(one.kp + one.ki, 0.01)
    integral, total = np.zeros(len(pressure)), np.zeros(len(pressure))
    for j in range(len(one.a)):
        error = one.kt - pressure[:, j]
        integral = (1.0 - one.a[j]) * integral + one.a[j] * error
        if not np.isnan(one.integral[j]):
            integral = np.full(len(pressure), one.integral[j])
        if bounded[j]:
            excess = one.side[j] * (one.edge[j] - one.kp * error - one.ki * integral) / scale
            total += np.maximum(excess - SLACK, 0.0)
    return total


def _least_broken(broken: Array) -> NDArray[np.bool_]:
    if np.count_nonzero(broken == 0.0) >= FEWEST:
        return np.asarray(broken == 0.0)
    return np.asarray(broken <= np.sort(broken)[FEWEST - 1])
