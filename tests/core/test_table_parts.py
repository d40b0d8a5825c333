"""Which columns of a wide table stand side by side."""

from __future__ import annotations

import pytest

from foldline.core.table_parts import parts

COLUMNS = ["name", "one", "two", "what it is"]
ROWS = [["ridge", "0.1234", "0.5678", "a line through points"]]
TEXT = [True, False, False, True]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (80, [[0, 1, 2, 3]]),
        (37, [[0, 1, 2, 3]]),  # 1 + (5 + 6 + 6 + 7) + 4 * 3: text is broken between words
        (36, [[0, 1, 2], [0, 3]]),
        (30, [[0, 1, 2], [0, 3]]),
        (26, [[0, 1], [0, 2], [0, 3]]),
    ],
)
def test_columns_are_parted_where_numbers_or_words_would_break(width: int, expected: list[list[int]]) -> None:
    assert parts(COLUMNS, ROWS, TEXT, width) == expected


def test_two_columns_and_none_stay_together() -> None:
    assert parts(COLUMNS[:2], [row[:2] for row in ROWS], TEXT[:2], 8) == [[0, 1]]
    assert parts([], [], [], 80) == [[]]
