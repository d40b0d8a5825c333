"""Find all grid solutions of a gap's linear equation: the arithmetic of stage d.

    sum_i weight_i k_i = total        k_i integers in 0..949, one per unknown row, in time order

All but the last two are enumerated, in the ranges that clipping allows; the last two are looked up: with beta their
weights' ratio, frac(remainder / weight) = frac(beta k), and the 950 fractions of beta k are kept in buckets. So a gap
of four rows costs 950^2 look-ups, not 950^3 tests.
"""

from typing import Final, NamedTuple

import numpy as np

from ventilator.controller import GRID_SIZE
from ventilator.decoder.kernels import helper, kernel
from ventilator.decoder.records import Floats, Gains, Ints

BUCKETS: Final = 2048  # a power of 2, so that `& (BUCKETS - 1)` wraps; about two for each of the 950 fractions
KEEP: Final = 16  # solutions kept; more are only counted (law.OPTIONS are used at most)
SLACK: Final = 1e-3  # grid steps, on a bound that only excludes: far above rounding, far below a step
FREE: Final = 2  # clip code of a row without any inequality


class Equation(NamedTuple):
    """One gap of m unknown rows in time order."""

    weight: Floats  # (m,)
    total: float
    tolerance: float  # steps, on the last index
    c: Floats  # (m,) target of each row; epsilon = c - k
    a: Floats  # (m,) smoothing weights
    clip: Ints  # (m,) -1: PI <= edge, 1: PI >= edge, FREE: nothing known
    edge: Floats  # (m,) grid steps; 0 or 100 %, less the bump
    start_J: float  # integral before the first unknown row; nan: the first row is unclipped and gives it
    start_y: float  # u_in of that unclipped first row, grid steps
    window: Ints  # (m + 1,) |k_i - k_{i-1}| at most; the ends against `before` and `after`
    before: int  # index of the row before the gap, or UNKNOWN
    after: int  # index of the row after it, or UNKNOWN


class Table(NamedTuple):
    """frac(beta k) of all 950 k, in buckets."""

    first: Ints  # (BUCKETS + 1,) where each bucket begins
    k: Ints  # (950,)
    fraction: Floats  # (950,) of the k at the same place


@helper
def table(beta: float) -> Table:
    """Sort the fractions of beta k into buckets (a counting sort)."""
    products = beta * np.arange(GRID_SIZE)
    products -= np.floor(products)
    bucket = (products * BUCKETS).astype(np.int64)
    first = np.zeros(BUCKETS + 1, np.int64)
    for k in range(GRID_SIZE):
        first[bucket[k] + 1] += 1
    for i in range(BUCKETS):
        first[i + 1] += first[i]
    order, fraction, place = np.empty(GRID_SIZE, np.int64), np.empty(GRID_SIZE), first.copy()
    for k in range(GRID_SIZE):
        at = place[bucket[k]]
        order[at], fraction[at] = k, products[k]
        place[bucket[k]] += 1
    return Table(first, order, fraction)


@helper
def near(first: Ints, fraction: Floats, x: float, width: float) -> bool:
    """Return whether some fraction lies within width of x, modulo 1."""
    x -= np.floor(x)
    low, high = int(np.floor((x - width) * BUCKETS)), int(np.floor((x + width) * BUCKETS))
    for bucket in range(low, high + 1):
        wrapped = bucket & (BUCKETS - 1)
        for place in range(first[wrapped], first[wrapped + 1]):
            away = abs(fraction[place] - x)
            if min(away, 1.0 - away) <= width:
                return True
    return False


@helper
def integral(e: Equation, g: Gains, i: int, J: float, k: int) -> float:
    """Compute J of unknown row i from the one before it."""
    if i == 0 and np.isnan(e.start_J):
        return float((e.start_y - g.kp * (e.c[0] - k)) / g.ki)
    return float((1.0 - e.a[i]) * J + e.a[i] * (e.c[i] - k))


@helper
def bounds(e: Equation, g: Gains, i: int, J: float, previous: int) -> tuple[int, int]:
    """Return the lowest and highest index of row i that window and clipping allow, given J and k of the row before."""
    low, high = 0, GRID_SIZE - 1
    if previous >= 0:
        low, high = max(low, previous - e.window[i]), min(high, previous + e.window[i])
    if e.clip[i] != FREE:
        k = e.c[i] - (e.edge[i] - g.ki * (1.0 - e.a[i]) * J) / (g.kp + g.ki * e.a[i])
        if e.clip[i] > 0:
            high = min(high, int(np.floor(k + SLACK)))
        else:
            low = max(low, int(np.ceil(k - SLACK)))
    return low, high


@helper
def _accept(e: Equation, k: int, low: int, high: int) -> bool:
    return bool(low <= k <= high and (e.after < 0 or abs(k - e.after) <= e.window[len(e.weight)]))


@helper
def _last_two(
    e: Equation, g: Gains, t: Table, remainder: float, J: float, previous: int, path: Ints, found: Ints, count: int
) -> int:
    """Append every solution that begins with `path` and return how many there are now."""
    m = len(e.weight)
    low, high = bounds(e, g, m - 2, J, previous)
    target = remainder / e.weight[m - 1]
    target -= np.floor(target)
    for place in range(GRID_SIZE):
        k, away = t.k[place], abs(t.fraction[place] - target)
        if min(away, 1.0 - away) > e.tolerance or not low <= k <= high:
            continue
        last = int(np.rint((remainder - e.weight[m - 2] * k) / e.weight[m - 1]))
        last_low, last_high = bounds(e, g, m - 1, integral(e, g, m - 2, J, k), k)
        if not _accept(e, last, last_low, last_high):
            continue
        if count < KEEP:
            for i in range(m - 2):  # a loop: assigning a slice compiles five times as long
                found[count, i] = path[i]
            found[count, m - 2], found[count, m - 1] = k, last
        count += 1
    return count


@helper
def _innermost(
    e: Equation, g: Gains, t: Table, remainder: float, J: float, previous: int, path: Ints, found: Ints, count: int
) -> tuple[int, int]:
    """Enumerate row m - 3 and look the last two up; return the count and the number of rows m - 3 tried."""
    i = len(e.weight) - 3
    low, high = bounds(e, g, i, J, previous)
    first, fraction, width, inverse = t.first, t.fraction, e.tolerance, 1.0 / e.weight[i + 2]
    start, slope = remainder * inverse, e.weight[i] * inverse
    for k in range(low, high + 1):
        if near(first, fraction, start - slope * k, width):
            path[i] = k
            count = _last_two(e, g, t, remainder - e.weight[i] * k, integral(e, g, i, J, k), k, path, found, count)
    return count, max(0, high - low + 1)


@kernel
def solve(e: Equation, g: Gains, found: Ints) -> tuple[int, float]:
    """Fill found (KEEP, m) with solutions; return their number and the number of hypotheses tried."""
    m = len(e.weight)
    low, top = bounds(e, g, 0, e.start_J, e.before)
    if m == 1:
        x = e.total / e.weight[0]
        k = int(np.rint(x))
        found[0, 0] = k
        return int(abs(x - k) <= e.tolerance and _accept(e, k, low, top)), 1.0
    t = table(e.weight[m - 2] / e.weight[m - 1])
    path, high = np.zeros(m, np.int64), np.zeros(m, np.int64)
    if m == 2:
        return _last_two(e, g, t, e.total, e.start_J, e.before, path, found, 0), max(0.0, top - low + 1.0)
    J, remainder = np.full(m, e.start_J), np.full(m, e.total)  # before row i
    pairs = min(GRID_SIZE, 2 * e.window[m - 2] + 1)
    count, tried, i = 0, 0.0, 0
    path[0], high[0] = low, top
    while i >= 0:
        if i == m - 3:
            previous = path[i - 1] if i > 0 else e.before
            count, rows = _innermost(e, g, t, remainder[i], J[i], previous, path, found, count)
            tried += float(rows * pairs)
        elif path[i] <= high[i]:
            J[i + 1] = integral(e, g, i, J[i], path[i])
            remainder[i + 1] = remainder[i] - e.weight[i] * path[i]
            i += 1
            path[i], high[i] = bounds(e, g, i, J[i], path[i - 1])
            continue
        i -= 1
        if i >= 0:
            path[i] += 1
    return count, tried
