"""What a second model may see of each row, to correct the smoother's mean: channels of one row, all finite.

Pressures and their differences are in cmH2O, flows in L/s, volumes as their recoil in cmH2O; 0 where something is not
known, and a flag says so where that matters. Models choose: many of these channels say nearly the same.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ventilator.controller import U_MAX, Array, smoothing
from ventilator.estimation.conditioning import Smoothed
from ventilator.estimation.inspirations import Inspirations
from ventilator.estimation.known import Known
from ventilator.estimation.parameters import EFFECTS
from ventilator.lung import SETTINGS
from ventilator.measure import Recorded
from ventilator.rig import sessions_of

FAR: Final = 40.0  # rows to an anchor that does not exist

CHANNELS: Final = (
    "mean",
    "sd",
    "known",  # 1 where the mean is exact
    "free",  # the run of the session's lung less the mean
    "run",  # the run of the breath's own lung less the mean
    "before",  # last exact reading less that run, and rows to it
    "before_rows",
    "after",  # next exact reading less that run, and rows to it
    "after_rows",
    "u_in",
    "log_u_in",
    "dt",
    "time",
    "clipped_low",
    "clipped_high",
    "bound_low",  # the decoder's clip: PI <= 0, or PI >= 100
    "bound_high",
    "flow",
    "stored",  # volume / compliance of the session
    "drop",
    "target",  # of the controller, less the mean
    "controller",  # PI along the mean path, less the bound that holds there (0 where none does), in u_in / (Kp + Ki)
    "bump",
    "bump_unknown",
    "kp",
    "ki",
    "kt",
    "identified",
    "explores",
    "first",
    *(f"effect_{name}" for name in EFFECTS),
    "exploration",
    "slow",
    "late_pi",
    *(f"setting_{r}_{c}" for r, c in SETTINGS),
)


def channels(breaths: Recorded, known: Known, rows: Inspirations, smoothed: Smoothed, mean: Array, sd: Array) -> Array:
    """Compute the channels (N, T, C) of N breaths; mean and sd (N, T), cmH2O, are the posterior's."""
    count, length = mean.shape
    told = ~np.isnan(known.pressure[:, :length])
    run, u_in = smoothed.run, rows.u_in
    residual = np.where(told, known.pressure[:, :length] - run.pressure, 0.0)
    before, before_rows = _nearest(residual, told)
    after, after_rows = (part[:, ::-1] for part in _nearest(residual[:, ::-1], told[:, ::-1]))
    clip, bump = known.clip[:, :length], known.bump[:, :length]
    session = np.array(sessions_of(breaths.r, breaths.c, breaths.time_step, breaths.u_in)).reshape(-1, 5)
    identified = ~np.isnan(known.kt)

    def each(values: NDArray[np.generic]) -> Array:
        return np.broadcast_to(np.nan_to_num(values.astype(np.float64))[:, None], (count, length))

    columns = [
        mean,
        sd,
        told,
        smoothed.free - mean,
        run.pressure - mean,
        before,
        before_rows,
        after,
        after_rows,
        u_in,
        np.log1p(u_in),
        rows.dt,
        breaths.time_step[:, :length],
        u_in <= 0.0,
        u_in >= U_MAX,
        clip == -1,
        clip == 1,
        run.flow,
        smoothed.stored,
        run.drop,
        np.where(identified[:, None], known.kt[:, None] - mean, 0.0),
        _controller(known, rows, mean),
        np.nan_to_num(bump),
        np.isnan(bump),
        *(each(values) for values in (known.kp, known.ki, known.kt, identified, known.explores(breaths), rows.first)),
        *(each(effect) for effect in smoothed.effects.T),
        *(each(session[:, k]) for k in (2, 3, 4)),
        *(each((breaths.r == r) & (breaths.c == c)) for r, c in SETTINGS),
    ]
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=-1)


def _nearest(values: Array, told: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return the value of the last row told before each row (N, T), itself included, and how many rows ago it was."""
    rows = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(told, rows, -1), axis=1)
    found = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, found, 0.0), np.where(last >= 0, rows - last, FAR)


def path_integral(known: Known, rows: Inspirations, mean: Array) -> Array:
    """Compute the controller's integral (N, T), cmH2O, along a mean path: on from the last known one, else back.

    nan where a breath has no known integral at all.
    """
    length = mean.shape[1]
    a, error = smoothing(rows.dt), known.kt[:, None] - mean
    out = known.integral[:, :length].copy()
    for j in range(1, length):
        onward = (1.0 - a[:, j]) * out[:, j - 1] + a[:, j] * error[:, j]
        out[:, j] = np.where(np.isnan(out[:, j]), onward, out[:, j])
    for j in range(length - 2, -1, -1):
        back = (out[:, j + 1] - a[:, j + 1] * error[:, j + 1]) / (1.0 - a[:, j + 1])
        out[:, j] = np.where(np.isnan(out[:, j]), back, out[:, j])
    return out


def _controller(known: Known, rows: Inspirations, mean: Array) -> Array:
    """Compute how far PI lies above its bound along the mean path, in cmH2O of error; 0 where it is not known."""
    length = mean.shape[1]
    kp, ki = known.kp[:, None], known.ki[:, None]
    clip, bump = known.clip[:, :length], np.nan_to_num(known.bump[:, :length])
    command = kp * (known.kt[:, None] - mean) + ki * path_integral(known, rows, mean)
    bound = np.where(clip == 1, U_MAX, 0.0) - np.where((rows.u_in <= 0.0) | (rows.u_in >= U_MAX), bump, 0.0)
    excess = (command - np.where(clip == 0, 0.0, bound)) / np.maximum(kp + ki, 0.01)
    return np.asarray(np.nan_to_num(np.clip(excess, -100.0, 100.0)))
