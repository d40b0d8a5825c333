"""Stage b: the first row, whose target depends on where in its cycle the breath was cut (decoder.md, 3.4).

`target(tau) = 5 + (Kt - 5) min(1, 33 tau)`. Late expiration gives tau_0 away: u_in then is an open-loop decay in tau. Where
it doesn't (the PI loop runs on, 7 % of breaths), tau_0 is either past the ramp or must lie on the lattice of 2^-22 s.
"""

from typing import Final

import numpy as np

from ventilator.controller import (
    EXPIRATION_RAMP_END_S,
    GRID_MIN,
    GRID_SIZE,
    GRID_STEP,
    IDLE_RATE_PER_S,
    INSPIRATION_S,
    PEEP,
    RAMP_RATE_PER_S,
    TICK_S,
)
from ventilator.decoder.kernels import kernel
from ventilator.decoder.law import (
    GRID_ERROR,
    ROW0,
    SAFETY,
    UNKNOWN,
    Breath,
    Floats,
    Gains,
    Track,
    integral_before,
    on_grid,
)

IDLE_FROM_S: Final = 1.44  # time_step: surely in late expiration's decay when u_in > 0
IDLE_BELOW: Final = 4.5  # %; closer to 5 the logarithm loses digits
IDLE_ROWS: Final = 6
PHASE_RESIDUAL: Final = 0.05  # ticks: each of the rows must give the same whole tick
CHANCE: Final = 1e-3  # expected chance hits up to which an enumerated row 0 is believed


@kernel
def phase(t: Floats, u: Floats) -> float:
    """tau_0 (s) from a whole breath's time_step (s) and u_in (%), nan where expiration does not tell it."""
    found, tick = 0, -1.0
    for j in range(len(t)):
        if found == IDLE_ROWS:
            break
        if t[j] <= IDLE_FROM_S or not 0.0 < u[j] < IDLE_BELOW:
            continue
        exact = (EXPIRATION_RAMP_END_S - np.log1p(-u[j] / PEEP) / IDLE_RATE_PER_S - t[j]) / TICK_S
        if tick < 0.0:
            tick = np.rint(exact)
        if abs(exact - tick) > PHASE_RESIDUAL:
            return float(np.nan)
        found += 1
    return tick * TICK_S if found == IDLE_ROWS and tick >= 0.0 else float(np.nan)


@kernel
def first_target(g: Gains, tau: float) -> float:
    """Target of row 0 on the grid's scale, nan where tau_0 (s) is not known."""
    peep = (PEEP - GRID_MIN) / GRID_STEP
    return peep + (g.c - peep) * min(1.0, RAMP_RATE_PER_S * tau) if tau >= 0.0 else float(np.nan)


@kernel
def row0(b: Breath, g: Gains, tau: float, flip: float, track: Track) -> None:
    """Enter row 0 where row 1 is known; tau is tau_0 (s) or nan, flip the time_step (s) of the first row with u_out = 1."""
    known = len(b.y) > 1 and b.clip[0] == 0 and track.k[0] == UNKNOWN and track.k[1] != UNKNOWN
    if g.kp == 0.0 or not known:
        return
    J, dJ = 0.0, 0.0
    if g.ki > 0.0:
        J, dJ = integral_before(b, g, 1, track.J[1], track.k[1]), track.dJ[1] / (1.0 - b.a[1])
    epsilon = (b.y[0] - g.ki * J) / g.kp
    tolerance = SAFETY * (b.w[0] + g.ki * dJ) / g.kp + GRID_ERROR
    k = _index(b, g, tau, flip, epsilon, tolerance)
    if k != UNKNOWN:
        track.k[0], track.J[0], track.dJ[0], track.kind[0] = k, J, dJ, ROW0


@kernel
def _index(b: Breath, g: Gains, tau: float, flip: float, epsilon: float, tolerance: float) -> int:
    if tau >= 0.0:
        x = first_target(g, tau) - epsilon
        return int(np.rint(x)) if on_grid(x, tolerance) else UNKNOWN
    past_ramp = g.c - epsilon
    if on_grid(past_ramp, tolerance) and (INSPIRATION_S - b.t[len(b.t) - 1]) * RAMP_RATE_PER_S > 1.0:
        return int(np.rint(past_ramp))
    return _on_lattice(b, g, flip, epsilon, tolerance)


@kernel
def _on_lattice(b: Breath, g: Gains, flip: float, epsilon: float, tolerance: float) -> int:
    """The one index whose tau_0 is a whole tick and puts the flip of u_out at tau = 1, if chance can't make one."""
    peep = (PEEP - GRID_MIN) / GRID_STEP
    ticks_per_step = 1.0 / ((g.c - peep) * RAMP_RATE_PER_S * TICK_S)
    last = b.t[len(b.t) - 1]
    hits, tried, hit = 0, 0, UNKNOWN
    for k in range(GRID_SIZE):
        tick = (k + epsilon - peep) * ticks_per_step
        tau = tick * TICK_S
        if not (0.0 <= tau * RAMP_RATE_PER_S < 1.0 and flip + tau >= INSPIRATION_S > last + tau):
            continue
        tried += 1
        if abs(tick - np.rint(tick)) <= tolerance * ticks_per_step:
            hits, hit = hits + 1, k
    chance = 2.0 * tolerance * ticks_per_step * tried
    return hit if hits == 1 and chance < CHANCE else UNKNOWN
