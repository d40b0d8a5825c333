"""data.scored: a condition on the values of a row alone; what looks at other rows or has no answer is refused."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.data import scored_rows
from foldline.data.roles import DataConfig

TABLE = pl.DataFrame(
    {
        "i": [1, 2, 3, 4],
        "k": ["a", "a", "b", "b"],
        "t": [0.0, 1.0, 0.0, 1.0],
        "x": [1.0, 2.0, 3.0, 0.0],
        "order": [0.0, 1.0, 2.0, 3.0],
        'a"x': [0.0, 1.0, 0.0, 1.0],
        "s": ["p", "p", "q", "q"],
    }
)


def fulfilled(scored: str) -> list[bool]:
    data = DataConfig(
        id="i", key="k", order="t", target=("y",), inputs=("x", "order", 'a"x'), static=("s",), scored=scored
    )
    return [bool(value) for value in scored_rows.fulfilled(data, TABLE, Path("train.csv"))]


@pytest.mark.parametrize(
    ("scored", "rows"),
    [
        ("x > 1", [False, True, True, False]),
        ("x > 0.5 and s = 'p'", [True, True, False, False]),
        ("x in (1, 3) or k == 'b'", [True, False, True, True]),
        ('"order" >= 2', [False, False, True, True]),
        ('"a""x" = 1', [False, True, False, True]),
        ("coalesce(nullif(x, 0), 5) > 4", [False, False, False, True]),
        ("abs(x - 2) <= 1", [True, True, True, False]),
        ("case when s = 'p' then x > 1 else t = 0 end", [False, True, True, False]),
        ("x >= 0", [True, True, True, True]),
    ],
)
def test_a_condition_on_each_row(scored: str, rows: list[bool]) -> None:
    assert fulfilled(scored) == rows


@pytest.mark.parametrize(
    "scored",
    [
        "max(x) > 1",
        "max(x) > t",
        "x > avg(x)",
        "count(*) > 2 and x > 0",
        "sum(x) over (partition by k) > 1",
        "row_number() over (order by x) > 2",
        "lag(x) over (order by t) > 1",
        "first(x) = 1",
    ],
)
def test_what_looks_at_other_rows_is_refused(scored: str) -> None:
    with pytest.raises(UserError, match="from the values of a row alone, but looks at other rows too"):
        fulfilled(scored)


@pytest.mark.parametrize(
    ("scored", "message"),
    [
        ("x / 0 > 1", r"train.csv: .* computes inf in 3 rows|computes inf in 4 rows"),
        ("1 / x > 0.4", r"computes inf in 1 rows \(first: row 4\)"),
        ("x % 0 > 1", "computes nan in 4 rows"),
        ("ln(x) > 0", r"computes -inf in 1 rows \(first: row 4\)"),
        ("nullif(x, 0) > 1", r"is neither true nor false in 1 rows \(first: row 4\)"),
        ("i > 2", "names the row id 'i', but what counts must follow from the other"),
        ("x + 1", "must be true or false for each row, but 'x \\+ 1' gives float64"),
        ("1 = 1", "must name a column"),
        ("order = 1", r"must be a SQL condition .* A column whose name is a word of SQL stands in double quotes"),
    ],
)
def test_what_has_no_answer_is_refused(scored: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        fulfilled(scored)
