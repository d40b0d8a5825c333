"""Settle a long gap inside a window that somebody else gives: its one linear equation, met in the middle.

The equations of `gap` with six unknown rows and more have too many solutions for a proof. Inside a window of some steps
around an estimate few vectors are left, and where exactly one of them solves the equation, it is likely the truth. That
rests on the estimate: such rows are "ranked", never exact.

A wrong vector solves the equation by chance. Given all rows but one, that one must land on a whole number: chance
2 tolerance. So vectors x 2 tolerance / (values of that row) bounds the expected chance hits of a window, and the window
is made as wide as CHANCE of them allows. A wrong row then needs a chance hit and the truth outside of the window.
"""

from typing import Final, NamedTuple

import numpy as np

from ventilator.controller import GRID_SIZE
from ventilator.decoder.equation import FREE, SLACK, Equation
from ventilator.decoder.records import Floats, Gains, Ints

LONGEST: Final = 9  # unknown rows
CHANCE: Final = 1e-2  # expected chance hits of a window, at most
NARROWEST: Final = 2.5  # standard deviations of each row: a narrower window misses the truth too often
WIDEST: Final = 5.0
HALF: Final = 3e6  # vectors of half a gap that are listed at most: 24 MB


class OpenGap(NamedTuple):
    """An equation that the decoder could not solve."""

    first: int  # its first unknown row in the breath
    gains: Gains
    equation: Equation


def expected_hits(low: Ints, high: Ints, e: Equation) -> float:
    """Bound the number of wrong vectors in a window that solve an equation of m rows by chance.

    Args:
        low: (m,) grid index of the lowest value of each row.
        high: (m,) that of the highest one, included.
        e: the equation.
    """
    values = (high - low + 1).astype(np.float64)
    reach = np.abs(e.weight) * values
    row = int(np.argmax(reach))
    others = float(np.prod(values) / values[row])
    return float(others * 2.0 * e.tolerance * abs(e.weight[-1] / e.weight[row]))


def window(mean: Floats, sd: Floats, e: Equation) -> tuple[Ints, Ints] | None:
    """Return the widest window (low, high), each (m,), that holds CHANCE; None where it would be too narrow.

    Args:
        mean: (m,) estimates, grid steps.
        sd: (m,) their standard deviations, grid steps.
        e: the equation of these rows.
    """
    for width in np.arange(WIDEST, NARROWEST - 1e-9, -0.125):
        low, high = np.floor(mean - width * sd), np.ceil(mean + width * sd)
        low, high = (np.clip(side, 0, GRID_SIZE - 1).astype(np.int64) for side in (low, high))
        if expected_hits(low, high, e) <= CHANCE:
            return low, high
    return None


def settle_gap(low: Ints, high: Ints, gap: OpenGap) -> Ints | None:
    """Find the only vector (m,) of grid indices inside a window that solves a gap's equation and obeys its clipping.

    Args:
        low: (m,) lowest index of each row.
        high: (m,) highest index of each row, included.
        gap: the equation, m <= LONGEST.

    Returns None where there is none, where there are several, or where chance hits are expected (CHANCE).
    """
    e = gap.equation
    values = high - low + 1
    if len(e.weight) > LONGEST or np.any(values < 1) or expected_hits(low, high, e) > CHANCE:
        return None
    split = _split(values)
    if np.prod(values[:split].astype(float)) > HALF or np.prod(values[split:].astype(float)) > HALF:
        return None
    left, right = _sums(e.weight[:split], values[:split]), _sums(e.weight[split:], values[split:])
    # Sums start at the window's lower corner: small numbers, so that float64 loses no digit of the tolerance.
    wanted = e.total - float(np.sum(e.weight * low)) - left
    order = np.argsort(right, kind="stable")
    near = e.tolerance * abs(e.weight[-1])
    first = np.searchsorted(right, wanted - near, side="left", sorter=order)
    last = np.searchsorted(right, wanted + near, side="right", sorter=order)
    found = [
        low + np.append(_vector(values[:split], int(i)), _vector(values[split:], int(order[place])))
        for i in np.flatnonzero(last > first)
        for place in range(first[i], last[i])
    ]
    solutions = [k for k in found if obeys(e, gap.gains, k)]
    return solutions[0] if len(solutions) == 1 else None


def _split(values: Ints) -> int:
    """Return after how many rows to cut so that the larger half has the fewest vectors."""
    counts = np.cumsum(np.log(values))
    return 1 + int(np.argmin(np.maximum(counts, counts[-1] - counts)[:-1])) if len(values) > 1 else 1


def _sums(weight: Floats, values: Ints) -> Floats:
    """Compute weight x vector for every vector of 0 .. values - 1, the last row's value changing fastest."""
    sums = np.zeros(1)
    for factor, count in zip(weight, values, strict=True):
        sums = (sums[:, None] + factor * np.arange(count)).ravel()
    return sums


def _vector(values: Ints, number: int) -> Ints:
    """Return the vector that stands at a place of `_sums`."""
    return np.array(np.unravel_index(number, tuple(values.tolist())), dtype=np.int64) if len(values) else values


def obeys(e: Equation, g: Gains, k: Ints) -> bool:
    """Return whether indices k (m,) clip where u is clipped: PI <= edge at its lower end, PI >= edge at its upper."""
    J = e.start_J
    for i in range(len(k)):
        epsilon = e.c[i] - k[i]
        J = (e.start_y - g.kp * epsilon) / g.ki if i == 0 and np.isnan(J) else (1.0 - e.a[i]) * J + e.a[i] * epsilon
        over = g.kp * epsilon + g.ki * J - e.edge[i]
        if e.clip[i] != FREE and over * -e.clip[i] > SLACK * (g.kp + g.ki):
            return False
    return True
