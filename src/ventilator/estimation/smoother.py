"""Estimate what is not known of breaths: the session's lung, bent through the rows that are known.

Start at `smooth`. conditioning.py has the arithmetic, channels.py what a second model may see besides.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ventilator.controller import GRID_MIN, STEPS, Array
from ventilator.estimation.channels import CHANNELS, channels
from ventilator.estimation.conditioning import average, smooth_member
from ventilator.estimation.constraints import constrained
from ventilator.estimation.inspirations import SATURATED, Inspirations
from ventilator.estimation.known import Known
from ventilator.estimation.lungs import SessionLungs, embedded
from ventilator.measure import Recorded

CHUNK: Final = 1000  # breaths smoothed together; it bounds memory


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """Estimates of N breaths of 80 rows; rows of expiration are not estimated (nan; channels 0)."""

    mean: Array  # (N, 80) cmH2O; known pressures where they are known
    sd: Array  # (N, 80) cmH2O, of a reading's error, calibrated (spread.py); 0 where it is known
    modelled_sd: Array  # (N, 80) cmH2O, the same as the model has it
    channels: NDArray[np.float32]  # (N, 80, C) inputs for a model that corrects the mean
    names: tuple[str, ...]  # (C,)


def smooth(breaths: Recorded, known: Known | Array, lungs: SessionLungs | None = None) -> Posterior:
    """Estimate every row of inspiration of N breaths from what is known of them.

    Args:
        breaths: N breaths; `breaths.pressure` is not looked at.
        known: what is known of them, or pressures (N, 80), cmH2O, nan where unknown.
        lungs: those of their sessions; the embedded ones by default.

    Raises:
        ValueError: if a breath's R or C is none of the competition's.
    """
    lungs = embedded() if lungs is None else lungs
    known = known if isinstance(known, Known) else Known.pressures(known)
    chunks = [np.arange(k, min(k + CHUNK, len(breaths))) for k in range(0, max(len(breaths), 1), CHUNK)]
    with threadpool_limits(1):  # sums must not depend on the number of cores
        parts = [_smooth(breaths.take(part), known.take(part), lungs) for part in chunks]
    mean, sd, seen = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Posterior(mean=mean, sd=lungs.spread(sd), modelled_sd=sd, channels=seen, names=CHANNELS)


def _smooth(breaths: Recorded, known: Known, lungs: SessionLungs) -> tuple[Array, Array, NDArray[np.float32]]:
    rows, index = Inspirations.of(breaths, known.pressure), lungs.places(breaths)
    parts = [smooth_member(rows, index, member) for member in lungs.members]
    smoothed = average(parts, [member.kind for member in lungs.members], ~np.isnan(rows.known))
    exact = known.pressure[:, : rows.there.shape[1]]
    told = ~np.isnan(exact)  # saturated readings, too: they are known, only the lung must not follow them
    mean, sd = constrained(breaths, known, rows, smoothed.mean, smoothed.cov)
    mean = np.where(told, exact, np.clip(mean, GRID_MIN, SATURATED))
    sd = np.where(told, 0.0, sd)
    seen = channels(breaths, known, rows, smoothed, mean, sd)
    return _whole(mean, rows, np.nan), _whole(sd, rows, np.nan), _whole(seen, rows, 0.0).astype(np.float32)


def _whole(values: Array, rows: Inspirations, padding: float) -> Array:
    """Pad rows (N, T, ...) of inspiration to 80, with `padding` wherever there is no inspiration."""
    out = np.full((len(values), STEPS, *values.shape[2:]), padding)
    out[:, : values.shape[1]][rows.there] = values[rows.there]
    return out
