"""The rows of a bump as a search walks through them, forwards or backwards in time.

Inside a bump u gives no integral, so J is carried along with the guessed or predicted errors. Forwards, backwards and
backwards under Kp = 0 differ in coefficients only:

    PI_i = error_gain_i epsilon_i + integral_gain_i J          J' = keep_i J + add_i epsilon_i

and backwards time is mirrored, so that a bump always rises first: B = slope (t - foot), foot before the first row.
"""

from typing import Final, NamedTuple

import numpy as np

from ventilator.decoder.chain import first_row
from ventilator.decoder.records import UNKNOWN, Breath, Floats, Gains, Track

BEYOND: Final = 2  # rows that a zone extends past the last unexplained one: they test its far foot


class Zone(NamedTuple):
    """m unclipped rows in search order, beginning next to an anchor."""

    row: int  # row of the first one
    way: int  # 1 forwards, -1 backwards
    y: Floats  # (m,) grid steps
    w: Floats  # (m,) error bound of y
    t: Floats  # (m,) s, mirrored backwards
    error_gain: Floats  # (m,)
    integral_gain: Floats  # (m,)
    keep: Floats  # (m,)
    add: Floats  # (m,)
    J: float  # at the anchor
    dJ: float  # its error bound
    before: int  # index of the row that comes before the first guessed one, or UNKNOWN
    start: float  # time (s, mirrored backwards) of the anchor: the bump begins later


def _size(b: Breath, row: int, way: int, last: int, lowest: int) -> int:
    """Count unclipped rows from `row` on in direction `way`, up to BEYOND behind `last`, none before `lowest`."""
    size, j = 0, row
    while lowest <= j < len(b.y) and b.clip[j] == 0 and (j - last) * way <= BEYOND:
        size, j = size + 1, j + way
    return size


def forwards(b: Breath, g: Gains, track: Track, row: int, last: int) -> Zone:
    """Build the zone from `row`, whose predecessor is an anchor; `last` is the last unexplained row."""
    m, anchor = _size(b, row, 1, last, 1), row - 1
    a = b.a[row : row + m]
    return Zone(
        row,
        1,
        b.y[row : row + m],
        b.w[row : row + m],
        b.t[row : row + m].copy(),
        g.kp + g.ki * a,
        g.ki * (1.0 - a),
        1.0 - a,
        a.copy(),
        float(track.J[anchor]),
        float(track.dJ[anchor]),
        int(track.k[anchor]),
        float(b.t[anchor]),
    )


def backwards(b: Breath, g: Gains, track: Track, row: int, last: int) -> Zone:
    """Build the zone from `row` towards the start; the anchor is row + 1.

    Kp > 0: u of a row gives its own error. Kp = 0: u gives the integral, hence the error of the row after it.
    """
    m, anchor = _size(b, row, -1, last, first_row(g)), row + 1
    J, dJ, before = float(track.J[anchor]), float(track.dJ[anchor]), int(track.k[anchor])
    shift = 0 if g.kp > 0.0 else 1
    if shift == 1:
        before = int(track.k[anchor + 1]) if anchor + 1 < len(b.y) else UNKNOWN
    else:
        keep = float(1.0 - b.a[anchor])
        J, dJ = (J - (1.0 - keep) * (g.c - before)) / keep, dJ / keep
    rows = row - np.arange(m)
    a = b.a[rows + shift]
    keeps, adds = 1.0 / (1.0 - a), -a / (1.0 - a)
    error_gain = np.full(m, g.kp) if shift == 0 else g.ki * adds
    integral_gain = np.full(m, g.ki) if shift == 0 else g.ki * keeps
    return Zone(
        row,
        -1,
        b.y[rows],
        b.w[rows],
        -b.t[rows],
        error_gain,
        integral_gain,
        keeps,
        adds,
        J,
        dJ,
        before,
        -float(b.t[anchor]),
    )


def can_anchor(g: Gains, track: Track, row: int, way: int) -> bool:
    """Return whether a zone can begin beside `row`: its J is known, and backwards with Kp > 0 its k too."""
    if not 0 <= row < len(track.J) or np.isnan(track.J[row]):
        return False
    return bool(way > 0 or g.kp == 0.0 or track.k[row] != UNKNOWN)
