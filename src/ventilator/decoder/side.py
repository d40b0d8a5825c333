"""Stage c, the search: bumps whose predicted rows land on the grid.

Two guessed pressures fix one side of a bump, slope and foot; the rows that follow are predicted and must land on the
grid. Where they stop doing so, one more guess fixes the other foot, since the slopes are opposite, and the further rows
are tests again. A search returns a `Bumps` list; bump.py decides on the whole breath which of them is accepted.
"""

from typing import Final, NamedTuple

import numpy as np

from ventilator.controller import GRID_SIZE
from ventilator.decoder.kernels import helper, kernel
from ventilator.decoder.law import GRID_ERROR, SAFETY, Y_MAX, digits, on_grid
from ventilator.decoder.records import Floats, Gains
from ventilator.decoder.zone import Zone

KEEP: Final = 48  # bumps kept of one breath; a full list drops its weakest
CHANGE: Final = 116  # grid steps; largest |dk| between rows of labelled exploration runs
BEND: Final = 154  # grid steps; largest |second difference| there
SLACK: Final = 1e-3  # grid steps, on bounds that only exclude: far above rounding, far below a step


class Bumps(NamedTuple):
    """Candidates; B(t) = slope * max(0, min(t - start, end - t))."""

    slope: Floats  # (KEEP,) grid steps per s
    start: Floats  # (KEEP,) s, -inf: open
    end: Floats  # (KEEP,) s, inf: open
    net: Floats  # (KEEP,) digits of tests less those of the hypotheses
    rows: Floats  # (KEEP,) rows that the search explains, from the foot on
    size: Floats  # (1,) how many there are


class Walk(NamedTuple):
    """A side being followed row by row: the last row's state and the two rows that define its line."""

    i: int  # rows done
    J: float  # before row i
    dJ: float
    k: int  # of the last two rows
    k2: int
    B0: float  # bump at row 0 and its error
    d0: float
    B: float  # bump at the last row
    d: float
    evidence: float


@helper
def no_bumps() -> Bumps:
    """Return an empty list."""
    return Bumps(np.zeros(KEEP), np.zeros(KEEP), np.zeros(KEEP), np.zeros(KEEP), np.zeros(KEEP), np.zeros(1))


@helper
def add(found: Bumps, z: Zone, slope: float, foot: float, far: float, net: float, rows: int) -> None:
    """Append a candidate, its feet turned back into forward time; a full list drops its weakest."""
    n = int(found.size[0])
    if n == KEEP:
        n = int(np.argmin(found.net))
        if found.net[n] >= net:
            return
    else:
        found.size[0] += 1
    found.slope[n], found.net[n], found.rows[n] = slope, net, rows
    found.start[n], found.end[n] = (foot, far) if z.way > 0 else (-far, -foot)


@helper
def _command(z: Zone, g: Gains, i: int, J: float, k: int) -> float:
    """Compute PI (steps) of row i under index k."""
    return float(z.error_gain[i] * (g.c - k) + z.integral_gain[i] * J)


@helper
def _next(z: Zone, g: Gains, i: int, J: float, k: int) -> float:
    return float(z.keep[i] * J + z.add[i] * (g.c - k))


@helper
def _expected(z: Zone, g: Gains, i: int, J: float, bump: float) -> float:
    """Compute the index of row i under a bump, not rounded."""
    return float(g.c - (z.y[i] - bump - z.integral_gain[i] * J) / z.error_gain[i])


@helper
def _possible(command: float) -> bool:
    return bool(-SLACK <= command <= Y_MAX + SLACK)


@helper
def _line(z: Zone, s: Walk, i: int) -> tuple[float, float]:
    """Compute the bump at row i on the line of the walk, and its error bound."""
    ratio = (z.t[i] - z.t[s.i - 1]) / (z.t[s.i - 1] - z.t[0])
    return s.B + ratio * (s.B - s.B0), (1.0 + ratio) * s.d + ratio * s.d0


@helper
def _tolerance(z: Zone, i: int, dJ: float, error: float) -> float:
    return float(SAFETY * (z.w[i] + z.integral_gain[i] * dJ + error) / abs(z.error_gain[i]) + GRID_ERROR)


@helper
def follow_line(z: Zone, g: Gains, s: Walk) -> Walk:
    """Follow the line while rows land on the grid."""
    while s.i < len(z.y):
        i = s.i
        bump, error = _line(z, s, i)
        tolerance = _tolerance(z, i, s.dJ, error)
        x = _expected(z, g, i, s.J, bump)
        if not on_grid(x, tolerance) or abs(np.rint(x) - s.k) > CHANGE:
            break
        k = int(np.rint(x))
        exact = z.y[i] - _command(z, g, i, s.J, k)
        own = z.w[i] + z.integral_gain[i] * s.dJ
        J, dJ = _next(z, g, i, s.J, k), z.keep[i] * s.dJ
        s = Walk(i + 1, J, dJ, k, s.k, s.B0, s.d0, exact, own, s.evidence + digits(tolerance))
    return s


@helper
def start_side(z: Zone, g: Gains, k0: int, k1: int) -> tuple[bool, Walk]:
    """Start the side through rows 0 and 1 under two guesses; first: whether its foot lies between anchor and row 0."""
    dJ1, J1 = z.keep[0] * z.dJ, _next(z, g, 0, z.J, k0)
    first, second = _command(z, g, 0, z.J, k0), _command(z, g, 1, J1, k1)
    B0, B1 = z.y[0] - first, z.y[1] - second
    slope = (B1 - B0) / (z.t[1] - z.t[0])
    foot_inside = B0 * slope > 0.0 and abs(B0) <= abs(slope) * (z.t[0] - z.start) * (1.0 + 1e-9)  # 1e-9: rounding
    d0, d1 = z.w[0] + z.integral_gain[0] * z.dJ, z.w[1] + z.integral_gain[1] * dJ1
    J2, dJ2 = _next(z, g, 1, J1, k1), z.keep[1] * dJ1
    ok = foot_inside and _possible(first) and _possible(second)
    return ok, Walk(2, J2, dJ2, k1, k0, B0, d0, B1, d1, 0.0)


@helper
def _around(before: int, change: int) -> tuple[int, int]:
    if before < 0:
        return 0, GRID_SIZE - 1
    return max(0, before - change), min(GRID_SIZE - 1, before + change)


@kernel
def long_sides(z: Zone, g: Gains, found: Bumps) -> None:
    """Search bumps whose first side has at least three rows: for guesses of two, the third must land on the grid."""
    if len(z.y) < 3:
        return
    low, high = _around(z.before, CHANGE)
    tried = np.log10((high - low + 1.0) * (2.0 * CHANGE + 1.0))
    for k0 in range(low, high + 1):
        low1, high1 = _around(k0, CHANGE)
        _, s = start_side(z, g, k0, low1)
        bump, error = _line(z, s, 2)
        offset = _expected(z, g, 2, s.J, bump)
        _, other = start_side(z, g, k0, low1 + 1)
        slope = _expected(z, g, 2, other.J, _line(z, other, 2)[0]) - offset
        tolerance = _tolerance(z, 2, s.dJ, error)
        for step in range(high1 - low1 + 1):
            x = offset + slope * step
            if abs(x - np.rint(x)) > tolerance:
                continue
            ok, s = start_side(z, g, k0, low1 + step)
            if ok:
                s = follow_line(z, g, s)
            if ok and s.i >= 3:
                far_sides(z, g, s, tried, found)


@kernel
def short_sides(z: Zone, g: Gains, found: Bumps) -> None:
    """Search bumps whose first side has two rows: every pair of guesses, the apex behind them, a third, then tests."""
    if len(z.y) < 4:
        return
    low, high = _around(z.before, CHANGE)
    tried = np.log10((high - low + 1.0) * (2.0 * CHANGE + 1.0))
    for k0 in range(low, high + 1):
        low1, high1 = _around(k0, CHANGE)
        for k1 in range(low1, high1 + 1):
            ok, s = start_side(z, g, k0, k1)
            if ok and (z.before < 0 or abs(k1 - 2 * k0 + z.before) <= BEND):
                far_sides(z, g, s, tried, found)


@helper
def far_sides(z: Zone, g: Gains, s: Walk, tried: float, found: Bumps) -> None:
    """Guess the first row behind the apex, each guess a far foot; keep those whose further rows land on the grid."""
    slope = (s.B - s.B0) / (z.t[s.i - 1] - z.t[0])
    foot = z.t[0] - s.B0 / slope
    if s.i >= 3:
        add(found, z, slope, foot, np.inf, s.evidence - tried, s.i)
    i = s.i
    if i + 1 >= len(z.y):
        return
    low, high = _around(2 * s.k - s.k2, BEND)
    low, high = max(low, s.k - CHANGE), min(high, s.k + CHANGE)
    reach, fall = abs(slope) * (z.t[i] - z.t[i - 1]), slope * (z.t[i + 1] - z.t[i])
    remainder, gain = z.y[i] - z.integral_gain[i] * s.J, z.error_gain[i]  # scalars: this is the innermost loop
    kept, add_gain = z.keep[i] * s.J, z.add[i]
    next_y, next_gain, next_integral = z.y[i + 1], z.error_gain[i + 1], z.integral_gain[i + 1]
    error = 3.0 * s.d + s.d0 + 2.0 * z.w[i]
    tolerance = _tolerance(z, i + 1, z.keep[i] * s.dJ, error)
    hits = 0  # counted to the end, because a loop without an early exit is vectorised by the compiler
    for k in range(low, high + 1):
        epsilon = g.c - k
        behind = remainder - gain * epsilon - fall
        after = behind if behind * slope > 0.0 else 0.0
        x = g.c - (next_y - after - next_integral * (kept + add_gain * epsilon)) / next_gain
        hits += abs(x - np.rint(x)) <= tolerance
    if hits == 0:
        return
    for k in range(low, high + 1):
        epsilon = g.c - k
        bump = remainder - gain * epsilon
        after = bump - fall if (bump - fall) * slope > 0.0 else 0.0
        x = g.c - (next_y - after - next_integral * (kept + add_gain * epsilon)) / next_gain
        if abs(x - np.rint(x)) > tolerance or abs(bump - s.B) > reach or bump * slope <= 0.0:
            continue
        if on_grid(x, tolerance) and _possible(z.y[i] - bump):
            _descend(z, g, s, k, slope, foot, z.t[i] + bump / slope, error, tried + np.log10(high - low + 1.0), found)


@helper
def _descend(
    z: Zone, g: Gains, s: Walk, k: int, slope: float, foot: float, end: float, error: float, tried: float, found: Bumps
) -> None:
    """Test the rows behind the apex's guess up to the first one beyond the far foot, and keep the bump."""
    i, evidence, J, dJ = s.i, s.evidence, _next(z, g, s.i, s.J, k), z.keep[s.i] * s.dJ
    while i + 1 < len(z.y):
        i += 1
        tolerance = _tolerance(z, i, dJ, error * (1.0 + (i - s.i) / s.i))
        bump = slope * max(0.0, end - z.t[i])
        x = _expected(z, g, i, J, bump)
        if not on_grid(x, tolerance):
            alone = tolerance * abs(z.error_gain[i])  # PI <= 0, u is the bump: a test as well, but J is lost
            if bump != 0.0 and abs(z.y[i] - bump) <= alone:
                evidence += digits(alone / Y_MAX)
            break
        J, dJ = _next(z, g, i, J, int(np.rint(x))), z.keep[i] * dJ
        evidence += digits(tolerance)
        if z.t[i] > end:
            break
    add(found, z, slope, foot, end, evidence - tried, i)


@kernel
def join(z: Zone, g: Gains, side: int, found: Bumps) -> None:
    """Give an open side of `found` its far foot from the other anchor's zone: each guess of z's row 0 is a foot."""
    if len(z.y) < 2:
        return
    slope = found.slope[side]
    far = found.end[side] if z.way > 0 else -found.start[side]  # the open side's foot, in z's time
    low, high = _around(z.before, CHANGE)
    for k in range(low, high + 1):
        command = _command(z, g, 0, z.J, k)
        bump = z.y[0] - command
        foot = z.t[0] - bump / slope
        if bump * slope <= 0.0 or foot < z.start or not _possible(command):
            continue
        J, dJ, i, evidence = _next(z, g, 0, z.J, k), z.keep[0] * z.dJ, 0, 0.0
        while i + 1 < len(z.y):
            tolerance = _tolerance(z, i + 1, dJ, 4.0 * z.w[0])
            x = _expected(z, g, i + 1, J, slope * max(0.0, min(z.t[i + 1] - foot, far - z.t[i + 1])))
            if not on_grid(x, tolerance):
                break
            i += 1
            J, dJ = _next(z, g, i, J, int(np.rint(x))), z.keep[i] * dJ
            evidence += digits(tolerance)
        if i > 0:
            net = found.net[side] + evidence - np.log10(high - low + 1.0)
            add(found, z, slope, foot, far, net, int(found.rows[side]) + i + 1)
