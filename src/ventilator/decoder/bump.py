"""Stage c, the decision: which bump, if any, was added to u_in of an exploration breath.

The searches propose bumps; this module subtracts each from u and tests the whole breath. A bump is accepted when its
own tests leave NET digits beyond its hypotheses and u without it is a clean breath: every pair of neighbours explained.
Of a bump whose far foot stays unknown, only the rows of the known side count. Where several bumps are accepted, only
the rows on which all of them agree are exact.
"""

from typing import Final, NamedTuple

import numpy as np

from ventilator.decoder.chain import all_runs, first_row
from ventilator.decoder.law import blank, contradicts, without_bump
from ventilator.decoder.line import lines
from ventilator.decoder.records import HIDDEN, UNKNOWN, Breath, Floats, Gains, Track
from ventilator.decoder.side import Bumps, join, long_sides, short_sides
from ventilator.decoder.zone import Zone, backwards, can_anchor, forwards

NET: Final = 3.0  # digits a bump's own tests must have beyond its hypotheses: 1 chance hit in 1,000
ROUNDING: Final = 1e-9  # grid steps, by which equal integrals may differ beyond their error bounds
ERROR: Final = 4.0  # error of a fitted bump, in error bounds of its rows


class Cleaned(NamedTuple):
    """A breath after its bump was subtracted."""

    clean: Breath  # rows that stay unexplained have clip HIDDEN
    bump: Floats  # (n,) grid steps; nan where unknown
    found: bool


class Trial(NamedTuple):
    """A bump that leaves a clean breath."""

    net: float  # digits of its tests beyond its hypotheses
    cleaned: Cleaned
    track: Track  # the runs of the clean breath


def triangle(b: Breath, slope: float, start: float, end: float) -> Floats:
    """Compute the bump B (n,), grid steps, of every row; slope in grid steps per s, start and end in s."""
    return np.asarray(slope * np.maximum(0.0, np.minimum(b.t - start, end - b.t)))


def unexplained(b: Breath, track: Track) -> tuple[int, int]:
    """Return the first and last unclipped row from row 1 on whose integral is unknown; (-1, -1): none."""
    rows = 1 + np.flatnonzero((b.clip[1:] == 0) & np.isnan(track.J[1:]))
    return (int(rows[0]), int(rows[-1])) if len(rows) else (-1, -1)


def _join_sides(z: Zone, g: Gains, found: Bumps) -> None:
    """Extend every open side of at least NET digits that was found from the other end, with this zone."""
    for side in range(int(found.size[0])):
        is_open = found.start[side] == -np.inf if z.way > 0 else found.end[side] == np.inf
        if is_open and found.net[side] >= NET:
            join(z, g, side, found)


def search_bumps(b: Breath, g: Gains, track: Track, first: int, last: int) -> Bumps:
    """Return all bumps that a search from either end of the unexplained rows finds, and those of straight lines."""
    found = lines(b)
    ahead, behind = can_anchor(g, track, first - 1, 1), can_anchor(g, track, last + 1, -1)
    if ahead:
        long_sides(forwards(b, g, track, first, last), g, found)
    if behind:
        long_sides(backwards(b, g, track, last, first), g, found)
    if ahead:
        _join_sides(forwards(b, g, track, first, last), g, found)
    if behind:
        _join_sides(backwards(b, g, track, last, first), g, found)
    if found.size[0] == 0 or np.max(found.net) < NET:
        if ahead:
            short_sides(forwards(b, g, track, first, last), g, found)
        if behind:
            short_sides(backwards(b, g, track, last, first), g, found)
    return found


def subtract(b: Breath, g: Gains, found: Bumps, i: int, track: Track) -> tuple[Breath, Floats]:
    """Subtract bump i from the breath; of an open one, unexplained rows behind its known side become HIDDEN."""
    slope, start, end = found.slope[i], found.start[i], found.end[i]
    bump = triangle(b, slope, start, end)
    behind = np.zeros(len(bump), np.bool_)
    if np.isinf(end):
        behind = np.cumsum(bump != 0.0) > found.rows[i]
    elif np.isinf(start):
        behind = np.cumsum((bump != 0.0)[::-1])[::-1] > found.rows[i]
    behind &= (b.clip == 0) & np.isnan(track.J)
    behind[: first_row(g)] = False
    clean = without_bump(b, np.where(behind, 0.0, bump), ERROR)
    clean.clip[behind] = HIDDEN
    return clean, np.where(behind, np.nan, bump)


def overwrite(known: Track, track: Track) -> None:
    """Replace the contents of `track` by those of `known`."""
    track.k[:], track.J[:], track.dJ[:], track.kind[:] = known.k, known.J, known.dJ, known.kind


def keep_agreed(track: Track, other: Track, apart: float = 0.0) -> None:
    """Reset all rows of `track` on which `other` differs to unknown, and integrals that it does not share.

    An integral is that of errors: what both controllers must say alike is the target less the integral, the smoothed
    pressure. Else sums of pressures between two integrals would be those of one controller alone.

    apart: grid steps, the target of the controller of `other` less that of `track`.
    """
    differ = other.k != track.k
    track.k[differ], track.kind[differ], track.options[differ] = UNKNOWN, 0, UNKNOWN
    same = np.abs(other.J - track.J - apart) <= other.dJ + track.dJ + ROUNDING
    track.J[differ | ~same] = np.nan


def accept_bumps(b: Breath, g: Gains, found: Bumps, track: Track, whole: bool) -> list[Trial]:
    """List the bumps whose own tests suffice and that leave a clean breath; `whole`: only those that hide no row."""
    accepted = []
    for i in range(int(found.size[0])):
        if found.net[i] < NET:
            continue
        clean, bump = subtract(b, g, found, i, track)
        if contradicts(b, np.where(np.isnan(bump), 0.0, bump), ERROR):
            continue
        own = blank(len(b.y))
        if np.any(np.isnan(bump)) != whole and all_runs(clean, g, own):
            accepted.append(Trial(float(found.net[i]), Cleaned(clean, bump, True), own))
    return accepted


def enter_agreed(accepted: list[Trial], track: Track) -> Cleaned:
    """Enter into `track` the rows on which all accepted bumps agree; return the breath without the best one."""
    agreed = accepted[0].track
    for trial in accepted[1:]:
        keep_agreed(agreed, trial.track)
    apart = np.isnan(agreed.J)  # later stages take every known row for an anchor
    agreed.k[apart], agreed.kind[apart], agreed.options[apart] = UNKNOWN, 0, UNKNOWN
    overwrite(agreed, track)
    return max(accepted, key=lambda trial: trial.net).cleaned
