"""Numbers of bytes as text, in units that fit."""

from __future__ import annotations

UNITS = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def byte_size(count: int) -> str:
    """Write a number of bytes in a unit that fits: 1.5 GiB, 12.0 MiB, 870 bytes."""
    for name, size in UNITS:
        if count >= size:
            return f"{count / size:.1f} {name}"
    return f"{count} bytes"


def needed_and_free(needed: int, free: int) -> str:
    """Write how much is needed and how much is free, which is less, so that they differ: in bytes where they must."""
    texts = byte_size(needed), byte_size(free)
    if texts[0] == texts[1]:
        texts = f"{needed:,} bytes", f"{free:,} bytes"
    return f"{texts[0]}, but {texts[1]} are free"
