"""Stage a: runs of unclipped rows, once the gains are known.

Guess the first pressure of a run and every later one follows from the law; each must land on the grid. Two ways to
accept a run: by *evidence*, when the digits of its passed tests outweigh the 950 guesses; by *uniqueness*, when no
bump can be hidden and exactly one guess reaches the run's end (the truth always does, so a single one is the truth).
"""

import numpy as np

from ventilator.controller import GRID_SIZE
from ventilator.decoder.kernels import helper, kernel
from ventilator.decoder.law import DIGITS_950, digits, integral_at, integral_error, on_grid, predicted, step_tolerance
from ventilator.decoder.records import CHAIN, UNKNOWN, Breath, Gains, Track


@helper
def run_end(b: Breath, start: int) -> int:
    """Return the last row of the unclipped run that row `start` is in."""
    end = start
    while end + 1 < len(b.y) and b.clip[end + 1] == 0:
        end += 1
    return end


@helper
def needs_guess(g: Gains) -> bool:
    """Return whether the first pressure of a run must be guessed: where one gain is 0, u alone gives J or k."""
    return bool(g.kp > 0.0 and g.ki > 0.0)


@kernel
def follow(b: Breath, g: Gains, start: int, end: int, J: float) -> tuple[int, float]:
    """Return the row reached from `start` (integral J) while all rows pass, and the digits of the passed tests."""
    j, evidence = start, 0.0
    while j < end:
        tolerance = step_tolerance(b, g, j + 1)
        x = predicted(b, g, j + 1, J)
        if not on_grid(x, tolerance):
            break
        j += 1
        evidence += digits(tolerance)
        J = integral_at(b, g, j, int(np.rint(x)))
    return j, evidence


@kernel
def guess(b: Breath, g: Gains, start: int, end: int) -> tuple[int, int, float, int, int]:
    """Try every pressure of row `start`.

    Returns the best one's k (UNKNOWN where u alone gives J), the row it reaches, its net digits, how many guesses reach
    row `end`, and one of those.
    """
    if not needs_guess(g):
        return _without_guess(b, g, start, end)
    a = b.a[start + 1]
    den = g.kp + g.ki * a
    slope = g.kp * (1.0 - a) / den
    offset = g.c - (b.y[start + 1] - (1.0 - a) * (b.y[start] - g.kp * g.c)) / den
    tolerance = step_tolerance(b, g, start + 1)
    best, reach, most, carriers, carrier = UNKNOWN, start, 0.0, 0, UNKNOWN
    for k in range(GRID_SIZE):
        if not on_grid(offset + slope * k, tolerance):
            continue
        row, evidence = follow(b, g, start, end, integral_at(b, g, start, k))
        if evidence > most:
            best, reach, most = k, row, evidence
        if row == end:
            carriers, carrier = carriers + 1, k
    return best, reach, most - DIGITS_950, carriers, carrier


@helper
def _without_guess(b: Breath, g: Gains, start: int, end: int) -> tuple[int, int, float, int, int]:
    k, evidence = UNKNOWN, 0.0
    if g.ki == 0.0:  # k follows from u, and is a test; under Kp = 0 J does, and is none
        x, tolerance = g.c - b.y[start] / g.kp, step_tolerance(b, g, start)
        if not on_grid(x, tolerance):
            return UNKNOWN, start - 1, 0.0, 0, UNKNOWN
        k, evidence = int(np.rint(x)), digits(tolerance)
    reach, more = follow(b, g, start, end, integral_at(b, g, start, max(k, 0)))
    return k, reach, evidence + more, int(reach == end), k


@kernel
def write(b: Breath, g: Gains, start: int, end: int, k: int, track: Track, kind: int) -> None:
    """Enter rows start..end of a run whose first index is k (UNKNOWN: only its J is known)."""
    J = integral_at(b, g, start, max(k, 0))
    track.J[start], track.dJ[start] = J, integral_error(b, g, start)
    if k != UNKNOWN:
        track.k[start], track.kind[start] = k, kind
    for j in range(start + 1, end + 1):
        track.k[j], track.kind[j] = int(np.rint(predicted(b, g, j, J))), kind
        J = track.J[j] = integral_at(b, g, j, track.k[j])
        track.dJ[j] = integral_error(b, g, j)


@kernel
def first_row(g: Gains) -> int:
    """Return the first row that can start a chain: row 0 has another target, which only enters where Kp > 0."""
    return 0 if g.kp == 0.0 else 1


@kernel
def chains(b: Breath, g: Gains, floor: float, track: Track) -> float:
    """Enter every chain of at least `floor` net digits into `track` and return the digits of all of them."""
    total, start = 0.0, first_row(g)
    while start < len(b.y):
        if b.clip[start] != 0 or (start + 1 == len(b.y) and g.ki != 0.0):
            start += 1
            continue
        end = run_end(b, start)
        if start == end and g.ki != 0.0:
            start += 1
            continue
        k, reach, net, _, _ = guess(b, g, start, end)
        if net >= floor:
            write(b, g, start, reach, k, track, CHAIN)
            total += net
            start = reach + 1
        else:
            start += 1
    return total


@kernel
def all_runs(b: Breath, g: Gains, track: Track) -> bool:
    """Apply the all-pairs rule: some guess must reach the end of every run; runs that only one guess fits are entered.

    Holds only where no bump is left in `b`. Returns False where these are not the gains: then no row may be claimed.
    """
    start = first_row(g)
    while start < len(b.y):
        if b.clip[start] != 0:
            start += 1
            continue
        end = run_end(b, start)
        if end > start or not needs_guess(g):
            _, _, _, carriers, k = guess(b, g, start, end)
            if carriers == 0:
                return False
            if carriers == 1:
                write(b, g, start, end, k, track, CHAIN)
        start = end + 1
    return True
