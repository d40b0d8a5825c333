"""Consecutive parts of a range, for work on more than memory takes at once."""

from __future__ import annotations

from collections.abc import Iterator


def chunks(count: int, size: int) -> Iterator[slice]:
    """Cut 0 .. count - 1 into consecutive slices of `size`, the last one perhaps smaller; none where count is 0."""
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))
