"""Bound the printing error of u_in, row by row, and put times back on their lattice.

One file may mix full float64 with rounded breaths. So the number of digits is found breath by breath, from the shortest
decimal form of its values. Times are whole ticks of 2^-22 s: rounding undoes any printing with 8 decimals or more.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ventilator.controller import TICK_S, U_MAX
from ventilator.decoder.records import Floats

COMPUTING_ERROR: Final = 3e-14  # %; labelled full-precision breaths leave 1.6e-14 (Kp = 0; else law.GRID_DEVIATION)
HALF_UNIT: Final = 0.505  # half of the last printed digit, and a little for decimal-to-binary
FULL: Final = 15  # significant digits from which on a breath counts as full float64
ROUNDED_BY: Final = 4  # a value this many digits short of a full breath was rounded by itself
FLOAT32_DIGITS: Final = 7  # every decimal of that many digits is what some float32 prints as
LATTICE_RESIDUAL: Final = 0.03  # ticks (7 ns): 8 decimals are off by 0.021 ticks at most, 7 by 0.21


def significant(value: float) -> tuple[int, int]:
    """Count significant digits and decimals of a finite value's shortest decimal form; (0, 0) for 0."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, decimals = mantissa.partition(".")
    decimals = decimals.rstrip("0")
    count = len((whole + decimals).strip("0")) if not decimals else len((whole + decimals).lstrip("0"))
    return count, max(0, len(decimals) - int(exponent or 0)) if value else 0


def is_float32(values: Floats) -> bool:
    """Return whether all values are float32, or print like one; whole numbers and those of 7 digits don't count."""
    telling = [value for value in values.tolist() if significant(value)[0] > FLOAT32_DIGITS]
    short = [np.float32(value) for value in telling]
    return len(telling) > 0 and all(v == float(s) or v == float(str(s)) for v, s in zip(telling, short, strict=True))


def lost_digits(u_in: Floats) -> str:
    """Return why u_in has lost its printed digits, judged by its first 5,000 values; empty where it has not."""
    some = np.asarray(u_in[:5000], dtype=np.float64)
    if np.all(some == np.round(some)):
        return "u_in holds whole numbers"
    return "u_in was stored as float32" if is_float32(some) else ""


def printing_error(u_in: Floats) -> Floats:
    """Bound |printed - true| (%) of each value of one breath's u_in (n,)."""
    if is_float32(u_in):
        return np.asarray(2.0 * HALF_UNIT * np.spacing(u_in.astype(np.float32)) + COMPUTING_ERROR, dtype=np.float64)
    forms = [significant(value) for value in u_in.tolist()]
    most = max((count for count, _ in forms), default=0)
    finest = max((decimals for _, decimals in forms), default=0)
    counts = np.full(len(u_in), most)
    if most >= FULL:
        own = np.array([count for count, _ in forms])
        counts = np.where(own <= most - ROUNDED_BY, own, most)
    magnitude = np.floor(np.log10(np.where(u_in > 0, u_in, 1.0)))
    unit = np.maximum(10.0**-finest, 10.0 ** (magnitude - counts + 1))
    clipped = (u_in <= 0.0) | (u_in >= U_MAX)  # exact, and short for a reason
    return np.asarray(np.where(clipped, 0.0, HALF_UNIT * unit) + COMPUTING_ERROR)


def lattice_ticks(time_step: Floats) -> NDArray[np.int64] | None:
    """Convert times (s) to whole ticks; None where they are not on the lattice within their printing error."""
    exact = time_step / TICK_S
    ticks = np.rint(exact)
    if not np.all(np.abs(exact - ticks) <= LATTICE_RESIDUAL):
        return None
    return np.asarray(ticks, dtype=np.int64)
