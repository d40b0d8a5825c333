"""Stage c, rows of bump alone: where PI <= 0, u is the bump itself, a straight line in time.

Such rows hold no pressure. But three of them on one line give the side of a bump without any guess.
"""

from typing import Final

import numpy as np

from ventilator.decoder.kernels import helper, kernel
from ventilator.decoder.law import SAFETY
from ventilator.decoder.records import Breath
from ventilator.decoder.side import KEEP, Bumps, no_bumps

RANGE: Final = 100.0  # grid steps over which a third row falls by chance
LOOSEST: Final = 0.1  # grid steps; a wider tolerance tests nothing
ROWS: Final = 3  # on one line
FLATTEST: Final = 100.0  # grid steps per s; the flattest bump of labelled breaths rises by 500
SAME: Final = 10.0  # errors by which the slopes of two sides of one bump may differ


@helper
def _slope_error(b: Breath, i: int, j: int) -> float:
    return float((b.w[i] + b.w[j]) / (b.t[j] - b.t[i]))


@helper
def line_end(b: Breath, i: int) -> tuple[int, float]:
    """Return the last row on the line through unclipped rows i and i + 1, and the digits of the rows behind these."""
    slope, error = (b.y[i + 1] - b.y[i]) / (b.t[i + 1] - b.t[i]), _slope_error(b, i, i + 1)
    j, evidence = i + 1, 0.0
    while j + 1 < len(b.y) and b.clip[j + 1] == 0:
        gap = b.t[j + 1] - b.t[i]
        tolerance = SAFETY * (b.w[j + 1] + b.w[i] + error * gap) + 1e-12 * RANGE
        if tolerance > LOOSEST or abs(b.y[j + 1] - b.y[i] - slope * gap) > tolerance:
            break
        j += 1
        slope, error = (b.y[j] - b.y[i]) / gap, _slope_error(b, i, j)
        evidence -= np.log10(2.0 * tolerance / RANGE)
    return j, evidence


@kernel
def lines(b: Breath) -> Bumps:
    """Find every line of at least ROWS unclipped rows as an open side; two of mirrored slopes also as a whole bump."""
    found, i = no_bumps(), 0
    while i + ROWS <= len(b.y):
        if b.clip[i] != 0 or b.clip[i + 1] != 0:
            i += 1
            continue
        j, evidence = line_end(b, i)
        slope = (b.y[j] - b.y[i]) / (b.t[j] - b.t[i])
        n = int(found.size[0])
        if j - i + 1 < ROWS or abs(slope) < FLATTEST or n == KEEP:
            i += 1
            continue
        foot = b.t[i] - b.y[i] / slope
        found.slope[n], found.net[n], found.rows[n] = abs(slope), evidence, j - i + 1
        found.start[n], found.end[n] = (foot, np.inf) if slope > 0.0 else (-np.inf, foot)
        found.size[0] += 1
        i = j
    _mirrored(b, found)
    return found


@helper
def _mirrored(b: Breath, found: Bumps) -> None:
    sides = int(found.size[0])
    close = SAME * np.max(b.w) / (b.t[1] - b.t[0])
    for i in range(sides):
        for j in range(i + 1, sides):
            n = int(found.size[0])
            whole = found.end[i] == np.inf and found.start[j] == -np.inf
            if n < KEEP and whole and abs(found.slope[i] - found.slope[j]) <= close:
                found.slope[n], found.start[n], found.end[n] = found.slope[i], found.start[i], found.end[j]
                found.net[n], found.rows[n] = found.net[i] + found.net[j], found.rows[i] + found.rows[j]
                found.size[0] += 1
