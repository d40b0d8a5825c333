"""Breaths made by hand for the decoder's tests: any pressures, gains and bump, through the controller's own law."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ventilator import controller
from ventilator.controller import TICK_S
from ventilator.decoder.digits import printing_error
from ventilator.decoder.records import Breath

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

INSPIRATION = 30
STEPS_TICKS = 141_000  # 0.0336 s
NO_BUMP = (0.0, 0.0, 0.0)
LATE_S = 0.02  # tau_0 of most breaths here: row 0 lies on the target's ramp


def pressures(seed: int = 0, low: int = 120, high: int = 420) -> Ints:
    """(80,) grid indices: a rise to a plateau with some noise, then the fall of expiration."""
    rng = np.random.default_rng(seed)
    j = np.arange(INSPIRATION)
    rise = low + (high - low) * (1 - np.exp(-j / 6)) + rng.normal(0, 4, INSPIRATION)
    fall = low + (rise[-1] - low) * np.exp(-np.arange(80 - INSPIRATION) / 5)
    return np.rint(np.concatenate([rise, fall])).astype(np.int64)


def clock(seed: int = 0) -> tuple[Floats, float]:
    """time_step (80,) s and tau_0 (s), all whole ticks, with row 30 the first at tau >= 1."""
    rng = np.random.default_rng(seed)
    ticks = np.concatenate([[0], np.cumsum(STEPS_TICKS + rng.integers(-500, 500, 79))])
    tau_0 = np.round(LATE_S / TICK_S)
    return ticks * TICK_S, float(tau_0 * TICK_S)


def u_in(
    k: Ints,
    t: Floats,
    tau_0: float,
    gains: tuple[float, float, float],
    *,
    integral: float = 0.0,
    bump: tuple[float, float, float] = NO_BUMP,
) -> Floats:
    """(80,) valve opening (%) of a controller (Kp, Ki, Kt) that saw pressures k; bump: slope (%/s), start, end."""
    kp, ki, kt = gains
    error = controller.target(t + tau_0, kt) - controller.grid_pressure(k)
    i, u = integral, np.empty(len(t))
    for j in range(len(t)):
        if j:
            i = float(controller.integral(i, error[j], t[j] - t[j - 1]))
        u[j] = controller.valve_command(error[j], i, kp, ki, controller.bump(t[j] + tau_0, *bump))
    u[INSPIRATION:] = controller.idle_command(t + tau_0)[INSPIRATION:]
    return u


def breath(u: Floats, t: Floats, w: Floats | None = None) -> Breath:
    """The decoder's record of a hand-made breath's inspiration."""
    u, t = u[:INSPIRATION], t[:INSPIRATION]
    error = printing_error(u) if w is None else w
    clip = (u >= 100.0).astype(np.int64) - (u <= 0.0)
    step = controller.GRID_STEP
    return Breath(u / step, error / step, controller.smoothing(np.diff(t, prepend=0.0)), t, clip)


def frame(u: Floats, t: Floats, *, r: int = 20, c: int = 10, breath_id: int = 1) -> pl.DataFrame:
    """One breath with the competition's columns."""
    n = len(u)
    rows: dict[str, Sequence[float] | Floats | Ints] = {
        "id": np.arange(1, n + 1) + 1000 * breath_id,
        "breath_id": np.full(n, breath_id),
        "R": np.full(n, r),
        "C": np.full(n, c),
        "time_step": t,
        "u_in": u,
        "u_out": (np.arange(n) >= INSPIRATION).astype(np.int64),
    }
    return pl.DataFrame(rows)
