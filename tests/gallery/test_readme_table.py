"""The README's table of competitions says what is there: ./run.sh bench gallery --readme."""

from __future__ import annotations

from benchmarks import gallery

ROWS = gallery.README_ROW.findall(gallery.README.read_text(encoding="utf-8"))


def test_each_competition_has_a_row_with_its_lines() -> None:
    text = gallery.README.read_text(encoding="utf-8")
    assert {"ventilator", *gallery.names()} <= {linked for linked, _, _ in ROWS}
    assert gallery.readme_rows(text) == text, "write it again: ./run.sh bench gallery --readme"


def test_a_row_without_its_folder_has_a_dash() -> None:
    row = "| {} | all of it | 12, 3 |"
    assert gallery.readme_rows(row.format("lacking")) == "| lacking | all of it | - |"
    assert "(configs/gallery/openvaccine/layout.md)" in gallery.readme_rows(row.format("openvaccine"))
