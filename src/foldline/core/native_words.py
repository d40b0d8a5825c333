"""Words on whole numbers of 64 bits that Python lacks: native.py makes single instructions of them."""

from __future__ import annotations

import struct
from typing import TypeAlias

import numpy as np

# Arrays of a compiled function.
Bytes: TypeAlias = np.ndarray  # uint8
Ints: TypeAlias = np.ndarray  # int64
Floats: TypeAlias = np.ndarray  # float64
ALL = (1 << 64) - 1


def eight(data: Bytes, place: int) -> int:
    """Return the eight bytes from a place on, the first one lowest."""
    return int.from_bytes(data[place : place + 8].tobytes(), "little")


def high(one: int, other: int) -> int:
    """Return the upper half of the unsigned product, which has 128 bits."""
    return (one & ALL) * (other & ALL) >> 64


def below(one: int, other: int) -> bool:
    """Return whether one is smaller than the other, both unsigned."""
    return (one & ALL) < (other & ALL)


def leading_zeros(value: int) -> int:
    """Return the number of zeros above the highest bit that is set."""
    return 64 - (value & ALL).bit_length()


def trailing_zeros(value: int) -> int:
    """Return the number of zeros below the lowest bit that is set; 64 of 0."""
    return ((value & -value) - 1 & ALL).bit_length()


def bits(value: float) -> int:
    """Return the bits of a float."""
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


def signed(value: int) -> int:
    """Return 64 bits as the whole number that a compiled function is given."""
    return (value & ALL) - ((value & 1 << 63) << 1)
