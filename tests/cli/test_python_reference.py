"""docs/python-reference.md is what the source says."""

from __future__ import annotations

import foldline
from foldline.cli import python_reference


def test_the_page_is_up_to_date() -> None:
    written = python_reference.PAGE.read_text(encoding="utf-8")
    assert written == python_reference.page(), "run `./run.sh reference`"


def test_every_name_has_a_section_and_every_argument_and_field_an_explanation() -> None:
    page = python_reference.page()
    assert [name for name in foldline.__all__ if f"\n### {name}\n" not in page] == ["Error"]
    assert "|  |" not in page and "``" not in page.replace("```", "")


def test_a_signature_is_python() -> None:
    def short(first: int, *more: str, last: bool = False, **rest: float) -> None: ...

    assert python_reference._signature("short", short) == (
        "short(first: int, *more: str, last: bool = False, **rest: float) -> None"
    )
    assert "    *,\n    force: bool = False,\n" in python_reference._signature("train", foldline.train)
