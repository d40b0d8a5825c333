"""All that the decoder finds out, as arrays per row: exact pressures, and input channels for networks that infill.

A network that predicts the remaining rows can use the integral at the anchors, the bump, the rows that are bump alone
(PI <= 0: an upper bound on the error), clipping, and the few candidates that an ambiguous gap leaves.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from ventilator.controller import GRID_STEP
from ventilator.decoder.records import OPTIONS, UNKNOWN, Floats, Ints


class Output(NamedTuple):
    """Arrays that the stages fill, over the M rows of a table; integral, error and bump in grid steps."""

    grid: Ints  # (M,)
    kind: Ints  # (M,)
    integral: Floats  # (M,)
    error: Floats  # (M,)
    bump: Floats  # (M,)
    clip: Ints  # (M,)
    options: Ints  # (M, OPTIONS)
    kp: Floats  # (M,)
    ki: Floats  # (M,)
    kt: Floats  # (M,)
    tau_0: Floats  # (M,)

    @classmethod
    def empty(cls, rows: int) -> "Output":
        """Return an output of so many unknown rows."""
        grid, kind, clip = np.full(rows, UNKNOWN), np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        integral, error, bump, kp, ki, kt, tau_0 = (np.full(rows, np.nan) for _ in range(7))
        return cls(grid, kind, integral, error, bump, clip, np.full((rows, OPTIONS), UNKNOWN), kp, ki, kt, tau_0)


@dataclass(frozen=True, kw_only=True)
class DecoderState:
    """Arrays over the M rows of a frame, in its order; nothing is known where a value is nan or UNKNOWN (-1)."""

    grid: Ints  # (M,) grid index of exact rows
    kind: Ints  # (M,) index into records.KINDS; 0: not exact
    integral: Floats  # (M,) I, cmH2O, where all controllers that remain possible imply it
    error: Floats  # (M,) e = target - pressure, cmH2O; nan in row 0, whose target differs
    bump: Floats  # (M,) added to u_in, %; 0 where none is, nan where it is not known
    clip: Ints  # (M,) -1: PI <= 0 (clipped, or bump alone), 0: neither, or unsure, 1: PI >= 100 less the bump
    options: Ints  # (M, OPTIONS) grid indices that an ambiguous gap leaves, then UNKNOWN
    kp: Floats  # (M,) %/cmH2O
    ki: Floats  # (M,) %/cmH2O
    kt: Floats  # (M,) cmH2O
    tau_0: Floats  # (M,) s

    @classmethod
    def of(cls, out: Output, row: Ints) -> Self:
        """Build the state of a frame in cmH2O and %; row (M,) is the place in the frame of each row of the table."""
        steps = {"integral", "error", "bump"}
        values = {}
        for name, array in out._asdict().items():
            values[name] = np.empty_like(array)
            values[name][row] = array * GRID_STEP if name in steps else array
        return cls(**values)
