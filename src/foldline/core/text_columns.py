"""Which columns of a table are words, which numbers: words stand left, numbers right, in terminal and page alike."""

from __future__ import annotations

import re
from collections.abc import Sequence

# What a cell of numbers begins with; empty, or a dash: no number there.
NUMBER = re.compile(r"(< |over )?[-+−±]?[\d.]|[-–]?$")


def words(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[bool]:
    """For each column whether it is words: the first always, others where a cell does not begin like a number."""
    return [not number or any(not NUMBER.match(row[number]) for row in rows) for number in range(len(columns))]
