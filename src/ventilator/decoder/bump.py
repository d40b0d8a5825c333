"""Stage c, the verdict: which bump, if any, an exploration breath carries (decoder.md, 3.5 and 3.6).

The searches propose; this module takes each proposal off u and looks at the whole breath. A bump is believed when its own
tests leave some digits net and what remains of u is a clean breath: every pair of neighbours explained. Of a bump whose far
foot stays unknown, only the rows of the known side count. Where several bumps stay, only the rows on which all of them
agree are exact.
"""

from typing import Final, NamedTuple

import numpy as np

from ventilator.decoder.chain import all_runs, first_row
from ventilator.decoder.kernels import kernel
from ventilator.decoder.law import BUMP, CHAIN, UNKNOWN, Breath, Floats, Gains, Track, blank, without_bump
from ventilator.decoder.line import lines
from ventilator.decoder.side import Bumps, join, long_sides, short_sides
from ventilator.decoder.zone import Zone, backwards, can_anchor, forwards

NET: Final = 3.0  # digits a bump's own tests must have beyond its hypotheses
ERROR: Final = 6.0  # error of a fitted bump, in error bounds of y
HIDDEN: Final = 2  # clip code of an unclipped row whose bump is not known


class Verdict(NamedTuple):
    """A breath without its bump."""

    clean: Breath  # rows that stay unexplained have clip HIDDEN
    bump: Floats  # (n,) grid steps; nan where unknown
    found: bool


@kernel
def triangle(b: Breath, slope: float, start: float, end: float) -> Floats:
    """B (steps) of every row."""
    return slope * np.maximum(0.0, np.minimum(b.t - start, end - b.t))


@kernel
def unexplained(b: Breath, track: Track) -> tuple[int, int]:
    """First and last unclipped row from row 1 on whose integral is unknown; (-1, -1): none."""
    first, last = -1, -1
    for j in range(1, len(b.y)):
        if b.clip[j] == 0 and np.isnan(track.J[j]):
            first, last = j if first < 0 else first, j
    return first, last


@kernel
def _join_sides(z: Zone, g: Gains, found: Bumps) -> None:
    """Offer a zone to every believable open side that comes from the other end."""
    for side in range(int(found.count[0])):
        is_open = found.start[side] == -np.inf if z.way > 0 else found.end[side] == np.inf
        if is_open and found.net[side] >= NET:
            join(z, g, side, found)


@kernel
def propose(b: Breath, g: Gains, track: Track, first: int, last: int) -> Bumps:
    """All bumps that a search from either end of the unexplained rows finds, and those of straight lines."""
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
    if found.count[0] == 0 or np.max(found.net) < NET:
        if ahead:
            short_sides(forwards(b, g, track, first, last), g, found)
        if behind:
            short_sides(backwards(b, g, track, last, first), g, found)
    return found


@kernel
def take_off(b: Breath, g: Gains, found: Bumps, i: int, track: Track) -> tuple[Breath, Floats]:
    """The breath without bump i; of an open one, unexplained rows behind its known side become HIDDEN."""
    slope, start, end = found.slope[i], found.start[i], found.end[i]
    bump = triangle(b, slope, start, end)
    if np.isinf(start) or np.isinf(end):
        order = np.argsort(b.t) if np.isinf(end) else np.argsort(-b.t)
        rows = 0
        for j in order:
            if bump[j] != 0.0:
                rows += 1
            if rows > found.rows[i] and j >= first_row(g) and b.clip[j] == 0 and np.isnan(track.J[j]):
                bump[j] = np.nan
    clean = without_bump(b, np.where(np.isnan(bump), 0.0, bump), ERROR)
    for j in range(len(bump)):
        if np.isnan(bump[j]):
            clean.clip[j] = HIDDEN
    return clean, bump


@kernel
def judge(b: Breath, g: Gains, found: Bumps, track: Track, whole: bool) -> Verdict:
    """Enter into `track` the rows on which all believable bumps agree: bumps that explain the breath wholly, or sides."""
    best, agreed = -1, blank(len(b.y))
    verdict = Verdict(b, np.zeros(len(b.y)), False)
    for i in range(int(found.count[0])):
        if found.net[i] < NET:
            continue
        clean, bump = take_off(b, g, found, i, track)
        own = blank(len(b.y))
        if np.any(np.isnan(bump)) == whole or not all_runs(clean, g, own):
            continue
        if best < 0:
            agreed = own
        for j in range(len(b.y)):
            if own.k[j] != agreed.k[j]:
                agreed.k[j], agreed.kind[j], agreed.J[j] = UNKNOWN, 0, np.nan
        if best < 0 or found.net[i] > found.net[best]:
            best, verdict = i, Verdict(clean, bump, True)
    if best >= 0:
        kind = np.where((verdict.bump != 0.0) & (agreed.kind == CHAIN), BUMP, agreed.kind)
        track.k[:], track.kind[:], track.J[:], track.dJ[:] = agreed.k, kind, agreed.J, agreed.dJ
    return verdict
