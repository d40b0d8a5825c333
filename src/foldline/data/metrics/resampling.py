"""Draw whole units (series, or groups of them) with replacement: the rows that were drawn, unit after unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from foldline.data.metrics.options import Array


class Draw(NamedTuple):
    """One resample. r drawn rows."""

    rows: Array  # (r,) int64, places of rows; a row is there as often as its unit was drawn
    number: Array  # (r,) int64, which of the drawn units a row came with: a unit that is drawn twice has two numbers


def draws(units: Array, count: int, random: np.random.Generator) -> Iterator[Draw]:
    """Yield `count` resamples of as many units as there are.

    units: (R,) the unit of each row; those of one stand anywhere.
    """
    order = np.argsort(units, kind="stable")
    first = np.flatnonzero(np.diff(units[order], prepend=units[order[0]] - 1))
    lengths = np.diff(np.append(first, len(order)))
    for _ in range(count):
        drawn = random.integers(len(lengths), size=len(lengths))
        length = lengths[drawn]
        within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        yield Draw(order[np.repeat(first[drawn], length) + within], np.repeat(np.arange(len(drawn)), length))
