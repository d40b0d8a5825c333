"""Stage b: the first row, whose target depends on where in its cycle the breath was cut.

`target(tau) = 5 + (Kt - 5) min(1, 33 tau)`. Late expiration shows tau_0: u_in then is an open-loop decay in tau. Where
the PI loop runs on instead (7 % of breaths), tau_0 is either past the ramp or must lie on the lattice of 2^-22 s.
"""

from typing import Final

import numpy as np

from ventilator import controller
from ventilator.controller import (
    GRID_MIN,
    GRID_SIZE,
    GRID_STEP,
    INSPIRATION_S,
    PEEP,
    RAMP_RATE_PER_S,
    TICK_S,
)
from ventilator.decoder.chain import guess, needs_guess, write
from ventilator.decoder.identify import N_KI, N_KP, N_KT, gains_of
from ventilator.decoder.kernels import kernel
from ventilator.decoder.law import GRID_ERROR, SAFETY, WIDEST
from ventilator.decoder.records import CHAIN, ROW0, UNKNOWN, Breath, Floats, Gains, Track

IDLE_FROM_S: Final = 1.44  # time_step: surely in late expiration's decay when u_in > 0
IDLE_BELOW: Final = 4.5  # %; closer to 5 the logarithm loses digits
IDLE_ROWS: Final = 6  # that must agree on the tick; the first have the most digits
PHASE_RESIDUAL: Final = 0.05  # ticks: each of the rows must give the same whole tick
PEEP_STEPS: Final = (PEEP - GRID_MIN) / GRID_STEP
CHANCE: Final = 1e-3  # expected chance hits up to which an enumerated row 0 is accepted


def phase(t: Floats, u: Floats) -> float:
    """Compute tau_0 (s) from a whole breath's time_step (s) and u_in (%); nan where expiration does not show it."""
    idle = np.flatnonzero((t > IDLE_FROM_S) & (u > 0.0) & (u < IDLE_BELOW))[:IDLE_ROWS]
    if len(idle) < IDLE_ROWS:
        return float(np.nan)
    exact = controller.phase(t[idle], u[idle]) / TICK_S
    tick = np.rint(exact[0])
    if tick < 0.0 or np.any(np.abs(exact - tick) > PHASE_RESIDUAL):
        return float(np.nan)
    return float(tick * TICK_S)


@kernel
def first_target(g: Gains, tau: float) -> float:
    """Return the target of row 0 on the grid's scale, nan where tau_0 (s) is not known."""
    return PEEP_STEPS + (g.c - PEEP_STEPS) * min(1.0, RAMP_RATE_PER_S * tau) if tau >= 0.0 else np.nan


@kernel
def on_target(b: Breath, g: Gains, tau: float) -> Breath:
    """Return the breath with row 0 as it were under the target of all other rows."""
    y = b.y.copy()
    y[0] += g.kp * (g.c - first_target(g, tau))
    return Breath(y, b.w, b.a, b.t, b.clip)


@kernel
def is_pair(b: Breath, g: Gains, tau: float) -> bool:
    return bool(len(b.y) > 1 and b.clip[0] == 0 and b.clip[1] == 0 and needs_guess(g) and tau >= 0.0)


@kernel
def pair_evidence(b: Breath, g: Gains, tau: float) -> float:
    """Compute the net digits of rows 0 and 1 as a chain; 0 where they are none, or tau_0 (s) is nan."""
    return max(0.0, guess(on_target(b, g, tau), g, 0, 1)[2]) if is_pair(b, g, tau) else 0.0


@kernel
def pair_scores(b: Breath, tau: float) -> Floats:
    """Compute the net digits of rows 0 and 1 under every controller (see `identify.gains_of`); tau is tau_0 (s)."""
    score = np.zeros(N_KP * N_KI * N_KT)
    for code in range(len(score)):
        score[code] = pair_evidence(b, gains_of(code), tau)
    return score


def first_pair(b: Breath, g: Gains, tau: float, floor: float, track: Track) -> None:
    """Enter rows 0 and 1 where row 1 is not known from its neighbours behind it, and one guess alone fits.

    Args:
        b: the breath, its known bump subtracted.
        g: its gains.
        tau: tau_0 (s) or nan.
        floor: net digits that the guess must have: 0 where no bump can be hidden, because the truth then fits.
        track: what is known.
    """
    if not is_pair(b, g, tau) or track.k[1] != UNKNOWN:
        return
    shifted = on_target(b, g, tau)
    _, _, net, carriers, k = guess(shifted, g, 0, 1)
    if carriers == 1 and net >= floor:
        write(shifted, g, 0, 1, k, track, CHAIN)
        track.kind[0] = ROW0


def row0(b: Breath, g: Gains, tau: float, flip: float, track: Track) -> None:
    """Enter row 0 where row 1 is known; tau is tau_0 (s) or nan, flip the time_step (s) at which u_out turns 1."""
    known = len(b.y) > 1 and b.clip[0] == 0 and track.k[0] == UNKNOWN and track.k[1] != UNKNOWN
    if g.kp == 0.0 or not known:
        return
    keep = 1.0 - float(b.a[1])
    J, dJ = 0.0, 0.0
    if g.ki > 0.0:
        J, dJ = (track.J[1] - (1.0 - keep) * (g.c - track.k[1])) / keep, track.dJ[1] / keep
    epsilon = (b.y[0] - g.ki * J) / g.kp
    tolerance = SAFETY * (b.w[0] + g.ki * dJ) / g.kp + GRID_ERROR
    k = _index(b, g, tau, flip, epsilon, tolerance)
    if k != UNKNOWN:
        track.k[0], track.J[0], track.dJ[0], track.kind[0] = k, J, dJ, ROW0


def _index(b: Breath, g: Gains, tau: float, flip: float, epsilon: float, tolerance: float) -> int:
    if tau >= 0.0:
        return _snap(first_target(g, tau) - epsilon, tolerance)
    if (INSPIRATION_S - b.t[-1]) * RAMP_RATE_PER_S > 1.0:
        k = _snap(g.c - epsilon, tolerance)
        if k != UNKNOWN:
            return k
    return _on_lattice(b, g, flip, epsilon, tolerance)


def _snap(x: float, tolerance: float) -> int:
    k = round(x)
    return k if abs(x - k) <= tolerance <= WIDEST and 0 <= k < GRID_SIZE else UNKNOWN


def _on_lattice(b: Breath, g: Gains, flip: float, epsilon: float, tolerance: float) -> int:
    """Return the only index whose tau_0 is a whole tick and puts the flip of u_out at tau = 1; else UNKNOWN."""
    ticks_per_step = 1.0 / ((g.c - PEEP_STEPS) * RAMP_RATE_PER_S * TICK_S)
    k = np.arange(GRID_SIZE)
    tick = (k + epsilon - PEEP_STEPS) * ticks_per_step
    tau = tick * TICK_S
    possible = (
        (tau >= 0.0) & (tau * RAMP_RATE_PER_S < 1.0) & (flip + tau >= INSPIRATION_S) & (b.t[-1] + tau < INSPIRATION_S)
    )
    hits = np.flatnonzero(possible & (np.abs(tick - np.rint(tick)) <= tolerance * ticks_per_step))
    chance = 2.0 * tolerance * ticks_per_step * np.count_nonzero(possible)
    return int(hits[0]) if len(hits) == 1 and chance < CHANCE else UNKNOWN
