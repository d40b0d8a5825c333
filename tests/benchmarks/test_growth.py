"""What the tables of growth and of estimates say; nothing is measured here."""

from __future__ import annotations

import pytest

from benchmarks import estimates, growth
from benchmarks.estimates import Row
from benchmarks.growth import BASE, FACTORS, Size
from benchmarks.million import Cost


def test_exponents_are_slopes() -> None:
    assert growth.exponent([3.0 * factor**1.5 for factor in FACTORS]) == pytest.approx(1.5)
    assert growth.exponent([0.0, 0.0, 0.0]) == pytest.approx(0.0)  # no time that could be seen


def test_the_tables_have_each_stage_by_each_axis() -> None:
    def size(seconds: float) -> Size:
        return Size(
            {"read": Cost("read", 8, 1.0, seconds, 2**20), "trees": Cost("trees", 8, 1.0, 5.0, 2**21)}, {"trees": 4.0}
        )

    axes = {"series": [size(1.0), size(2.0), size(4.0)], "folds": [size(1.0)] * 3}
    assert list(growth.summary(axes, BASE))[-2:] == [
        "| read | 1.00 | 1 | 1.0 | 0.0 |",
        "| trees | 5.00 | 2 | 0.0 | 0.0 |",
    ]
    lines = list(growth.details(axes, BASE))[2:]
    assert lines[0] == "| read | series | 2,000 / 4,000 / 8,000 | 1.00 / 2.00 / 4.00 | 1.00 | 1 / 1 / 1 |  |"
    assert (
        lines[3] == "| trees | folds | 2 / 4 / 8 | 5.00 / 5.00 / 5.00 | 0.00 | 2 / 2 / 2 | 4.0 / 4.0 / 4.0 |"
        and len(lines) == 4
    )


def test_a_row_of_an_estimate_takes_the_place_of_the_one_before() -> None:
    page = estimates.PAGE.read_text(encoding="utf-8")
    names = [estimates._name_of(line) for line in estimates.merged(page, [])]
    row = Row("tft", 4.0, 2.0, 1.0, is_bound=False)
    again = estimates.merged(page, [row])
    assert [estimates._name_of(line) for line in again] == names and str(row) in again and not row.is_close
    assert Row("tft", 4.0, 2.0, 1.0, is_bound=True).is_close and not Row("tft", 1.0, 2.0, 1.0, is_bound=True).is_close
