"""Which columns of a table hold text and which numbers: text is aligned left, numbers right, in terminal and page."""

from __future__ import annotations

import re
from collections.abc import Sequence

# How a number begins in a cell: a sign, "< 0.0001", "over 100"; an empty cell or a dash stands for a missing number.
NUMBER = re.compile(r"(< |over )?[-+−±]?[\d.]|[-–]?$")


def is_text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[bool]:
    """Return for each column whether it holds text: the first always, others where a cell does not begin as a number.

    Args:
        columns: (C,) their names.
        rows: cells, C in each row.
    """
    return [not number or any(not NUMBER.match(row[number]) for row in rows) for number in range(len(columns))]
