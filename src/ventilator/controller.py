"""The collector's controller: how u_in was computed from the measured pressure, as constants and pure functions.

Each breath of the competition was driven by a digital PI controller with one exploration bump at most. Its law is exact
in float64, so the simulator applies it forwards and the decoder inverts it; both take their numbers from here, and
they stand nowhere else. All functions are elementwise: arrays that broadcast (or scalars) in, their common shape out.
This module runs nothing by itself; `tests/ventilator/test_controller.py` compares it with real breaths.

    a_j = dt_j / (dt_j + 0.5)                                   dt_j = time_step_j - time_step_{j-1}   (s)
    e_j = target_j - p_j                                        (cmH2O)
    I_j = I_{j-1} + a_j (e_j - I_{j-1})                         never reset, blind to clipping and to the bump
    u_j = clip(clip(Kp e_j + Ki I_j, 0, 100) + bump(tau_j), 0, 100)                                    (% valve opening)

Two clocks: `time_step` starts at a breath's first row, `tau = tau_0 + time_step` at its 3 s cycle.

Source: the organisers' collector, https://github.com/google/deluca-lung, and https://arxiv.org/abs/2102.06779; the gain
lists, the clip before the bump, the lattice and the grid were found on real breaths.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Value = float | Array

STEPS: Final = 80  # rows of a breath
TICK_S: Final = 2.0**-22  # s; every time, tau_0 included, is a whole number of ticks
CYCLE_S: Final = 3.0
INSPIRATION_S: Final = 1.0  # u_out flips at tau >= 1
EXPIRATION_RAMP_END_S: Final = 1.5  # the target is back at PEEP; the idle decay starts
RAMP_RATE_PER_S: Final = 33.0  # the target climbs from PEEP to Kt during the first 1/33 s
INTEGRAL_TIME_S: Final = 0.5
IDLE_RATE_PER_S: Final = 5.0  # of the open-loop approach to PEEP in late expiration
PEEP: Final = 5.0  # cmH2O
U_MAX: Final = 100.0  # % valve opening

GRID_SIZE: Final = 950  # pressures that the sensor can report
GRID_MIN: Final = -1.8957442945646636  # cmH2O; from labels with all digits: rounder ones are off by 1.5e-10 of a step
GRID_STEP: Final = 0.0703021454512162  # cmH2O

KP_GAINS: Final = (0.0, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, *(float(k) for k in range(1, 11)))
KI_GAINS: Final = KP_GAINS
KT_TARGETS: Final = (10.0, 15.0, 20.0, 25.0, 30.0, 35.0)  # cmH2O
R_VALUES: Final = (5, 20, 50)  # cmH2O/(L/s)
C_VALUES: Final = (10, 20, 50)  # mL/cmH2O

EXPLORATION_GAINS: Final[dict[tuple[int, int], tuple[float, float]]] = {  # (R, C): the (Kp, Ki) of every run with bumps
    (5, 10): (1.0, 0.5),
    (5, 20): (1.0, 3.0),
    (5, 50): (2.0, 4.0),
    (20, 10): (1.0, 0.5),
    (20, 20): (0.0, 3.0),
    (20, 50): (0.0, 4.0),
    (50, 10): (0.0, 1.0),
    (50, 20): (0.0, 2.0),
    (50, 50): (0.0, 2.0),
}


def ticks(time: ArrayLike) -> NDArray[np.int64]:
    """Convert times (s) to whole ticks of 2^-22 s; undoes the rounding of a file printed with 10 digits."""
    return np.rint(np.asarray(time, dtype=np.float64) / TICK_S).astype(np.int64)


def grid_pressure(index: ArrayLike) -> Array:
    """Return the pressure (cmH2O) of grid indices 0..949."""
    return np.asarray(GRID_MIN + GRID_STEP * np.asarray(index), dtype=np.float64)


def grid_index(pressure: ArrayLike) -> NDArray[np.int64]:
    """Return the nearest grid index of a pressure (cmH2O), clipped to 0..949."""
    index = np.rint((np.asarray(pressure, dtype=np.float64) - GRID_MIN) / GRID_STEP)
    return np.clip(index, 0, GRID_SIZE - 1).astype(np.int64)


def smoothing(dt: Value) -> Array:
    """Return the weight a = dt / (dt + 0.5) of the newest error in the integral; dt in s."""
    return np.asarray(dt / (dt + INTEGRAL_TIME_S))


def target(tau: Value, kt: Value) -> Array:
    """Return the target pressure (cmH2O) at tau (s): 33 ms up from PEEP to kt, held to 1 s, down to PEEP at 1.5 s."""
    rising = RAMP_RATE_PER_S * tau
    falling = (EXPIRATION_RAMP_END_S - tau) / (EXPIRATION_RAMP_END_S - INSPIRATION_S)
    share = np.clip(np.minimum(rising, falling), 0.0, 1.0)
    return np.asarray(PEEP + (kt - PEEP) * share)


def integral(previous: Value, error: Value, dt: Value) -> Array:
    """Return I_j (cmH2O) from I_{j-1} and e_j (cmH2O) and dt_j (s)."""
    return np.asarray(previous + smoothing(dt) * (error - previous))


def bump(tau: Value, slope: Value, start: Value, end: Value) -> Array:
    """Return the exploration bump added to u_in (%) at tau (s): `slope * max(0, min(tau - start, end - tau))`.

    A triangle of height h and width d has slope 2h/d (%/s, either sign); a ramp falling from h at tau = 0 to 0 at d has
    slope h/d and start = -inf; no bump is slope 0.
    """
    height = np.maximum(0.0, np.minimum(tau - start, end - tau))
    return np.asarray(slope * height)


def valve_command(proportional: Value, integrated: Value, kp: Value, ki: Value, added: Value) -> Array:
    """Return u_in (%) from e_j and I_j (cmH2O), the gains and the bump: clipped before the bump and after it."""
    pi = np.clip(kp * proportional + ki * integrated, 0.0, U_MAX)
    return np.asarray(np.clip(pi + added, 0.0, U_MAX))


def idle_command(tau: Value) -> Array:
    """Return u_in (%) in expiration while the PI loop is off: 0 until 1.5 s, then `5 (1 - exp(-5 (tau - 1.5)))`."""
    late = np.maximum(0.0, tau - EXPIRATION_RAMP_END_S)
    return np.asarray(PEEP * (1.0 - np.exp(-IDLE_RATE_PER_S * late)))


def phase(time_step: Value, idle: Value) -> Array:
    """Return tau_0 (s) of idle rows, not yet on the lattice: `1.5 - ln(1 - u_in/5)/5 - time_step`.

    Valid for 0 < idle < 5 (%); the noise of one row is about 1e-16 / (5 - idle) s at full precision.
    """
    return np.asarray(EXPIRATION_RAMP_END_S - np.log1p(-idle / PEEP) / IDLE_RATE_PER_S - time_step)
