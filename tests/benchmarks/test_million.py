"""A million series: what the table says, and that all steps run in bounded memory at a small size."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import million, million_stages
from benchmarks.million import Cost, Row
from benchmarks.pages import replaced

SERIES = 20_000
BOUND = 650 << 20  # bytes, of which Python and its libraries take some 300; rows held as a whole took 750


def rows(*sizes: int, seconds: float = 9.0) -> list[Row]:
    return [million.row(series, Cost("read", 80 * series, seconds, 3e-6 * series, 2**20)) for series in sizes]


def test_a_straight_line_has_the_exponent_one() -> None:
    each = rows(*million.SIZES)
    assert million.exponent(each) == pytest.approx(1.0)
    lines = million.table(each)
    assert lines[2] == "| read | 10,000 | 9.0 | 0.0 | 26,666,667 | 1 |  |"
    assert lines[4] == "| read | 1,000,000 | 9.0 | 3.0 | 26,666,667 | 1 | 1.00 |" and len(lines) == 5
    page = million.PAGE.read_text(encoding="utf-8")
    there = page.split(f"<!-- {million.PART} -->\n")[1].split("<!-- end of")[0]
    assert replaced(page, million.PART, "\n".join(lines)) == page.replace(there, "\n".join(lines) + "\n")


def test_one_size_leaves_the_rows_of_others_on_the_page() -> None:
    page = million.PAGE.read_text(encoding="utf-8")
    every = million.rows_of(page)
    assert "\n".join(million.table(million.merged(every, []))) in page  # read and written, nothing has changed
    found = million.merged(rows(*million.SIZES), rows(100_000, seconds=7.0))
    assert [each.seconds for each in found] == ["9.0", "7.0", "9.0"]
    assert million.table(found)[-1].endswith("| 1.00 |")


@pytest.mark.slow
def test_all_steps_run_in_bounded_memory(tmp_path: Path) -> None:
    costs = million.measure(SERIES, decoded=0, place=tmp_path, keep=False)
    assert [cost.rows for cost in costs[:2]] == [2 * SERIES * million_stages.STEPS] * 2
    assert costs[-1].step.startswith("infer") and costs[-1].rows == SERIES * million_stages.STEPS
    assert {cost.step: cost.memory for cost in costs if cost.memory > BOUND} == {}
    assert not list(tmp_path.iterdir())
