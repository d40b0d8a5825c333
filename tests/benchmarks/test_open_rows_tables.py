"""What the tables of open rows are made of: intervals, laws, shares, and the parts of a page."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks/ is no package that is installed
from benchmarks import open_rows_members
from benchmarks.open_rows_curve import share_of, with_floor, without_floor
from benchmarks.open_rows_tables import interval, ratio
from benchmarks.pages import Page, replaced
from ventilator import open_rows, simulator
from ventilator.rig import Rig

SIZES = [50, 100, 200, 400, 800]


def test_laws_are_recovered_and_carried_on() -> None:
    falling, above = (floor + 3.0 * np.array(SIZES) ** -0.5 for floor in (0.0, 0.2))
    np.testing.assert_allclose(without_floor(SIZES, falling, [800, 20_000]), 3.0 * np.array([800, 20_000]) ** -0.5)
    np.testing.assert_allclose(with_floor(SIZES, above, [20_000]), 0.2 + 3.0 * 20_000**-0.5, rtol=1e-6)
    assert without_floor(SIZES, above, [20_000])[0] < with_floor(SIZES, above, [20_000])[0]


def test_a_floor_is_not_below_zero() -> None:
    errors = np.array([1.0, 0.8, 0.6, 0.4, 0.2])  # a straight fall would end below 0
    assert (with_floor(SIZES, errors, [10**6]) >= 0).all()


def test_smaller_shares_are_parts_of_larger_ones() -> None:
    outside, rank = np.arange(40) % 4 != 0, np.random.default_rng(0).permutation(40)
    quarter, half, whole = (share_of(outside, rank, share) for share in (0.25, 0.5, 1.0))
    assert [int(each.sum()) for each in (quarter, half, whole)] == [8, 15, 30]
    assert (quarter <= half).all() and (half <= whole).all() and (whole == outside).all()


def test_a_mean_counts_rows_and_its_interval_draws_breaths() -> None:
    values, rows = np.array([[1.0, 3.0], [8.0, 99.0]]), np.array([[True, True], [True, False]])
    assert interval(values, rows) == "4.000 (2.00–8.00)"  # both breaths are the first, or both the second
    assert interval(-values, rows, signed=True) == "-4.000 (-8.000 to -2.000)"
    assert interval(values, np.zeros_like(rows)) == "–"
    assert ratio(np.sqrt(2 / np.pi) * values, 2 * values, rows) == "0.50 (0.50–0.50)"


def test_a_part_of_a_page_is_replaced_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- one -->\nold\n\nold\n<!-- end of one -->\nafter\n<!-- two -->\n<!-- end of two -->\n")
    with Page(path).part("one"):
        print("\n| new |\n")
    text = "before\n<!-- one -->\n| new |\n<!-- end of one -->\nafter\n<!-- two -->\n<!-- end of two -->\n"
    assert path.read_text() == text and "| new |" in capsys.readouterr().out
    assert replaced(text, "two", r"\1") == text.replace("two -->\n<", "two -->\n\\1\n<")
    with pytest.raises(ValueError, match="no part between `<!-- three -->`"), Page(path).part("three"):
        print("lost")
    assert path.read_text() == text


def test_breaths_are_simulated_again_where_the_lungs_behind_them_are_others(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lungs, made, rig = tmp_path / "lungs.json", list[Path](), Rig.load()
    monkeypatch.setattr(open_rows, "simulated_by", lambda: [lungs])
    monkeypatch.setattr(simulator, "write_competition", lambda folder, **_: made.append(folder))
    monkeypatch.setattr(open_rows_members, "prepared", lambda folder, folds: folder)
    for text in ("one", "one", "other"):
        lungs.write_text(text)
        open_rows_members.of_simulated(4, 2, "matched", rig)
    assert len(made) == 2
