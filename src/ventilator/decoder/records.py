"""Types, codes and records that all stages share; no compiled code, so that whoever only reads rows does without it."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNKNOWN: Final = -1
OPTIONS: Final = 4  # candidates kept of an ambiguous equation
HIDDEN: Final = 2  # clip code of an unclipped row whose u can't be used: printed too short, or under an unknown bump

CHAIN: Final = 1
ROW0: Final = 2
BUMP: Final = 3
GAP: Final = 4
KINDS: Final = ("", "chain", "row0", "bump", "gap")  # by code; 0 is not exact


class Breath(NamedTuple):
    """The printed inputs of one breath's inspiration, n rows."""

    y: Floats  # (n,) u_in, grid steps
    w: Floats  # (n,) bound of the error of y, grid steps
    a: Floats  # (n,) smoothing weight; a[0] is never used
    t: Floats  # (n,) time_step, s
    clip: Ints  # (n,) -1: at 0, 0: unclipped, 1: at 100, HIDDEN


class Gains(NamedTuple):
    """A controller."""

    kp: float
    ki: float
    c: float  # target, grid steps above grid index 0


class Track(NamedTuple):
    """What is known of one breath's pressures; stages fill it in place."""

    k: Ints  # (n,) grid index or UNKNOWN
    J: Floats  # (n,) integral, grid steps, or nan
    dJ: Floats  # (n,) bound of the error of J
    kind: Ints  # (n,) index into KINDS
    options: Ints  # (n, OPTIONS) indices that an ambiguous equation leaves, then UNKNOWN
