"""Stage d: clipped rows between known ones.

A clipped u only gives an inequality. But the integral before the gap and after it gives one exact linear equation for
the gap's pressures. Every solution on the grid is listed. A single solution is a proof where the list surely holds the
truth: all 950 values allowed, and no bump that could break the inequality. Otherwise the windows must be so narrow that
no chance hit is expected.
"""

from typing import Final

import numpy as np

from ventilator.controller import GRID_SIZE
from ventilator.decoder.equation import FREE, KEEP, Equation, solve
from ventilator.decoder.law import GRID_DEVIATION, GRID_ERROR, SAFETY, digits, integral_error
from ventilator.decoder.records import GAP, OPTIONS, ROW0, UNKNOWN, Breath, Gains, Ints, Track

SOLVED: Final = 1
OPEN: Final = 0
REFUTED: Final = -1
NARROWEST_BUMP_S: Final = 0.1  # no bump is narrower, so none fits between clean rows that are closer
FULL_ROWS: Final = 4  # unknown rows up to which all 950 values are tried: 950^2 look-ups of some 3 ns
LONGEST: Final = 6  # unknown rows up to which an equation is tried at all
CHANCE: Final = 1e-2  # expected chance hits of an accepted windowed search; to be wrong, the truth must lie outside too
NARROWEST: Final = 50  # grid steps between neighbours; gaps of 4 rows and more move by 42 at most in exploration runs
NARROWEST_SWEEP: Final = 250  # grid steps; the same in sweeps, whose gains are higher
UNSURE: Final = 0.5  # grid steps; a wider tolerance leaves more than one integer
BUDGET: Final = 1e7  # look-ups of one search, 3 ns each


def widest_window(m: int, tolerance: float) -> int:
    """Return the widest |k_i - k_{i-1}| (grid steps) that leaves m unknown rows less than CHANCE chance hits."""
    # 0.99: the bound must hold strictly, whatever the powers below are rounded to.
    hypotheses = 0.99 * CHANCE / (2.0 * tolerance)
    by_chance = (hypotheses ** (1.0 / (m - 1)) - 1.0) / 2.0
    by_time = (BUDGET ** (1.0 / max(1, m - 2)) - 1.0) / 2.0
    return int(min(by_chance, by_time, GRID_SIZE))


def equation(b: Breath, g: Gains, c0: float, left: int, right: int, track: Track, bump: bool) -> Equation:
    """Build the equation between rows left and right, each either an anchor (J known) or an unclipped row without it.

    Unknown are the rows between, an end without J, and the right end where its J is known and its k isn't.
    """
    open_left = np.isnan(track.J[left])
    open_right = np.isnan(track.J[right])
    first = left if open_left else left + 1
    last = right - 1 if track.k[right] != UNKNOWN else right
    m = last - first + 1
    rows = slice(first, last + 1)
    a, c = b.a[rows], np.full(m, g.c)
    clip = np.where((b.clip[rows] == 0) | bump, FREE, b.clip[rows])
    kept = np.cumprod(np.append(1.0, (1.0 - b.a[left + 1 : last + 1])[::-1]))[::-1]  # of J, from each row to the last
    decay, weight = float(kept[0]), np.zeros(m)
    weight[left + 1 - first :] = b.a[left + 1 : last + 1] * kept[1:]
    if open_left:
        weight[0] = -decay * g.kp / g.ki
        total, error = -decay * b.y[left] / g.ki, decay * integral_error(b, g, left)
        if left == 0:
            c[0] = c0
    else:
        total, error = -decay * track.J[left], decay * track.dJ[left]
    if open_right:
        weight[m - 1] += g.kp / g.ki
        total, error = total + b.y[right] / g.ki, error + integral_error(b, g, right)
    elif last == right:
        total, error = total + track.J[right], error + track.dJ[right]
    else:
        keep = 1.0 - b.a[right]
        total += (track.J[right] - b.a[right] * (g.c - track.k[right])) / keep
        error += track.dJ[right] / keep
    total = float(np.sum(weight * c)) - total
    error += (1.0 - decay) * GRID_DEVIATION
    tolerance = float(SAFETY * error / abs(weight[m - 1]) + GRID_ERROR)
    before = UNKNOWN if open_left else int(track.k[left])
    after = int(track.k[right]) if last < right else UNKNOWN
    start_J, start_y = (np.nan, float(b.y[left])) if open_left else (float(track.J[left]), 0.0)
    if open_left:
        clip[0] = FREE
    window = np.full(m + 1, GRID_SIZE)
    return Equation(weight, total, tolerance, c, a, clip, b.y[rows], start_J, start_y, window, before, after)


def solve_gap(
    b: Breath, g: Gains, c0: float, left: int, right: int, track: Track, bump: bool, explores: bool
) -> tuple[int, float]:
    """Solve one gap and enter it: SOLVED, OPEN (several solutions: options) or REFUTED (none: other gains).

    The second value are the digits of there being a solution: how unlikely one is under other gains.
    """
    e = equation(b, g, c0, left, right, track, bump)
    m, first = len(e.weight), left if np.isnan(track.J[left]) else left + 1
    if m > LONGEST or e.tolerance >= UNSURE:
        return OPEN, 0.0
    found = np.full((KEEP, m), UNKNOWN)
    if m <= FULL_ROWS:
        count, tried = solve(e, g, found)
        if count == 0:
            return (OPEN if bump else REFUTED), 0.0
        if count == 1 and (not bump or 2.0 * e.tolerance * tried < CHANCE):
            _write(b, g, first, right, e, found[0], track)
            return SOLVED, digits(e.tolerance * tried)
    if m == 1:
        return OPEN, 0.0
    e.window[:] = widest_window(m, e.tolerance)
    if e.window[0] < (NARROWEST if explores else NARROWEST_SWEEP):
        return OPEN, 0.0
    count, tried = solve(e, g, found)
    if count == 1 and 2.0 * e.tolerance * tried < CHANCE:
        _write(b, g, first, right, e, found[0], track)
        return SOLVED, digits(e.tolerance * tried)
    if 1 < count <= OPTIONS:
        for i in range(m):
            track.options[first + i, :count] = found[:count, i]
    return OPEN, 0.0


def _write(b: Breath, g: Gains, first: int, right: int, e: Equation, k: Ints, track: Track) -> None:
    J, dJ = e.start_J, track.dJ[first - 1] if first > 0 else 0.0
    for i in range(len(k)):
        j = first + i
        if i == 0 and np.isnan(e.start_J):
            J, dJ = (b.y[j] - g.kp * (e.c[0] - k[0])) / g.ki, integral_error(b, g, j)
        else:
            J, dJ = (1.0 - e.a[i]) * J + e.a[i] * (e.c[i] - k[i]), (1.0 - e.a[i]) * dJ
        track.k[j], track.kind[j], track.options[j] = k[i], ROW0 if j == 0 else GAP, UNKNOWN
        if j != right or np.isnan(track.J[j]):
            track.J[j], track.dJ[j] = J, dJ


def _right_end(b: Breath, g: Gains, left: int, track: Track, bump: bool) -> int:
    """Find the next row after left that ends an equation: an anchor, or an unclipped row without bump; -1: none."""
    for j in range(left + 1, len(b.y)):
        if not np.isnan(track.J[j]) or (b.clip[j] == 0 and g.kp > 0.0 and not bump):
            return j
    return -1


def _left_end(b: Breath, right: int, c0: float) -> int:
    """Find the nearest unclipped row before an anchor; -1: none, or row 0 without a known target."""
    for j in range(right - 1, -1, -1):
        if b.clip[j] == 0 and (j > 0 or c0 == c0):
            return j
    return -1


def gaps(b: Breath, g: Gains, c0: float, track: Track, bump: bool, explores: bool) -> float | None:
    """Enter all gaps that have one solution.

    Args:
        b: the breath, its known bump subtracted.
        g: its gains.
        c0: target of row 0 in steps, nan where tau_0 is not known.
        track: what the other stages know.
        bump: whether an unknown bump may hide in a gap.
        explores: whether the run is one with bumps, whose pressures move little.

    Returns the digits of all solved equations; None where one that must have a solution has none: these are not the
    gains.
    """
    if g.ki == 0.0:
        return 0.0
    done: set[tuple[int, int, bool, bool]] = set()
    again, evidence = True, 0.0
    while again:
        again = False
        for left, right in _pairs(b, g, c0, track, bump):
            ends = left, right, bool(np.isnan(track.J[left])), bool(np.isnan(track.J[right]))
            if ends in done or (not np.isnan(track.J[left]) and track.k[left + 1] != UNKNOWN):
                continue
            done.add(ends)
            hides = bump and b.t[right] - b.t[left] >= NARROWEST_BUMP_S
            outcome, found = solve_gap(b, g, c0, left, right, track, hides, explores)
            if outcome == REFUTED:
                return None
            again |= outcome == SOLVED
            evidence += found
    return evidence


def unsolved(b: Breath, g: Gains, c0: float, track: Track, bump: bool) -> list[tuple[int, Equation]]:
    """List the equations between known rows that are left: the first unknown row of each, and the equation.

    Arguments are those of `gaps`. Where a bump may hide, clipped rows say nothing, and only anchors end an equation.
    """
    if g.ki == 0.0:
        return []
    left_over = []
    for left, right in _pairs(b, g, c0, track, bump):
        first = left if np.isnan(track.J[left]) else left + 1
        if np.all(track.k[first:right] == UNKNOWN):
            hides = bump and b.t[right] - b.t[left] >= NARROWEST_BUMP_S
            left_over.append((first, equation(b, g, c0, left, right, track, hides)))
    return left_over


def _pairs(b: Breath, g: Gains, c0: float, track: Track, bump: bool) -> list[tuple[int, int]]:
    """List the ends of all equations: from each anchor onwards, and back to a row that is none yet."""
    anchors = np.flatnonzero(~np.isnan(track.J)).tolist()
    ends = [
        (left, _right_end(b, g, left, track, bump))
        for left in anchors
        if left + 1 < len(b.y) and track.k[left + 1] == UNKNOWN
    ]
    if g.kp > 0.0 and not bump:
        back = [(_left_end(b, right, c0), right) for right in anchors]
        ends += [(left, right) for left, right in back if left >= 0 and np.isnan(track.J[left])]
    return [(left, right) for left, right in ends if left >= 0 and right >= 0]
