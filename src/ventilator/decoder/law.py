"""The controller's law in the decoder's units.

Everything is counted in steps of the pressure grid (0.0703 cmH2O), so that a pressure is an index k and a grid test is
whether a real number is an integer:

    epsilon_j = c - k_j                       the error e_j;  c = (Kt - GRID_MIN) / GRID_STEP
    J_j = (1 - a_j) J_{j-1} + a_j epsilon_j   the integral I_j
    y_j = Kp epsilon_j + Ki J_j + B_j         u_in of an unclipped row; B is the bump

Rows are those with u_out = 0, numbered from 0; row 0 has another target (a ramp over the first 1/33 s) and no a.
"""

from typing import Final

import numpy as np

from ventilator.controller import GRID_MIN, GRID_SIZE, GRID_STEP, KT_TARGETS
from ventilator.decoder.kernels import helper, kernel
from ventilator.decoder.records import OPTIONS, UNKNOWN, Breath, Floats, Gains, Track

SAFETY: Final = 1.5  # factor on every tolerance
WIDEST: Final = 5e-4  # steps, of a tolerance: a test that chance passes more than once in 1,000 proves no row
GRID_ERROR: Final = 4e-12  # steps: rounding of float64 arithmetic on an index up to 949, of some 1e-13 an operation
PURE: Final = 4.0  # error bounds of u up to which PI counts as 0, so that u is bump alone
GRID_DEVIATION: Final = 1e-12  # steps: a pressure's distance from the grid's two constants; 7e-13 on labels
DIGITS_950: Final = float(np.log10(GRID_SIZE))  # digits that enumerating one pressure costs
TARGETS: Final = np.array([(kt - GRID_MIN) / GRID_STEP for kt in KT_TARGETS])
Y_MAX: Final = 100.0 / GRID_STEP


@kernel
def blank(n: int) -> Track:
    """Return a track of n unknown rows."""
    options = np.full((n, OPTIONS), UNKNOWN)
    return Track(np.full(n, UNKNOWN), np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, np.int64), options)


@helper
def on_grid(x: float, tolerance: float) -> bool:
    """Return whether a computed index is one of the 950, within `tolerance` steps; wider than WIDEST never passes."""
    k = np.rint(x)
    return bool(abs(x - k) <= tolerance <= WIDEST and 0 <= k < GRID_SIZE)


@kernel
def digits(tolerance: float) -> float:
    """Return the evidence of a passed grid test: -log10 of its chance, 2 tolerance."""
    return float(max(0.0, -np.log10(2.0 * tolerance)))


@kernel
def step_tolerance(b: Breath, g: Gains, j: int) -> float:
    """Compute the tolerance (steps) of the grid test of row j when row j - 1 is known."""
    before = 0.0 if g.ki == 0.0 else (1.0 - b.a[j]) * (b.w[j - 1] + g.kp * GRID_DEVIATION)
    error = b.w[j] + before
    return float(SAFETY * error / (g.kp + g.ki * b.a[j]) + GRID_ERROR)


@kernel
def predicted(b: Breath, g: Gains, j: int, J: float) -> float:
    """Compute the index of unclipped row j, not rounded, from the integral J of row j - 1."""
    return float(g.c - (b.y[j] - g.ki * (1.0 - b.a[j]) * J) / (g.kp + g.ki * b.a[j]))


@kernel
def integral_at(b: Breath, g: Gains, j: int, k: int) -> float:
    """Compute J of unclipped row j with index k: from y itself, so that errors don't grow along a chain."""
    return 0.0 if g.ki == 0.0 else float((b.y[j] - g.kp * (g.c - k)) / g.ki)


@kernel
def integral_error(b: Breath, g: Gains, j: int) -> float:
    """Bound the error of `integral_at` (steps)."""
    return 0.0 if g.ki == 0.0 else float((b.w[j] + g.kp * GRID_DEVIATION) / g.ki)


def without_bump(b: Breath, bump: Floats, error: float) -> Breath:
    """Subtract a bump (n,), steps, from the breath; under it, the error of u grows by `error` times its worst row's.

    Rows that the bump explains alone count as clipped: PI <= 0, or PI >= 100 under a negative bump. The y of clipped
    rows then is what PI must not exceed (or fall below): -bump at u = 0, 100 - bump at u = 100.
    """
    under = bump != 0.0
    worst = np.max(b.w, where=under & (b.clip == 0), initial=0.0)
    y, w = b.y - bump, np.where(under, b.w + error * worst, b.w)
    low = under & (b.clip == 0) & (y <= PURE * w)
    high = under & (b.clip == 0) & (y >= Y_MAX - PURE * w)
    y[low], y[high] = 0.0, Y_MAX
    clip = b.clip.copy()
    clip[low], clip[high] = -1, 1
    return Breath(y, w, b.a, b.t, clip)


def contradicts(b: Breath, bump: Floats, error: float) -> bool:
    """Return whether u can't be PI + bump: unclipped rows need 0 <= PI <= 100."""
    under = (bump != 0.0) & (b.clip == 0)
    y, slack = (b.y - bump)[under], PURE * (1.0 + error) * np.max(b.w, where=under, initial=0.0)
    return bool(np.any((y < -slack) | (y > Y_MAX + slack)))
