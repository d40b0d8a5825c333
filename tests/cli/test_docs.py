"""Pages for readers: the verbs, options and files that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from foldline.cli.main import COMMON
from foldline.cli.verb_table import VERBS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LINKED = sorted([ROOT / "CHANGELOG.md", *(ROOT / "configs" / "gallery").glob("*/layout.md")])
HISTORY = ROOT / "docs" / "log.md"  # names files as they were called on that day
PLACE = re.compile(r"(?<![\w/])(?:src|tests|features|models|docs|benchmarks)/[\w./-]*\w")
COMMAND = re.compile(r"\./run\.sh ([a-z]+)((?: +[^\s#`&|]+)*)")


def shown(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_commands_are_verbs_with_options_they_take(page: Path) -> None:
    for name, rest in COMMAND.findall(page.read_text(encoding="utf-8")):
        assert name in VERBS, f"{shown(page)} names an unknown verb: {name}"
        verb = VERBS[name]
        if verb.module == "develop":
            continue
        options = {word.rstrip(".,;:)").partition("=")[0] for word in rest.split() if word.startswith("--")}
        assert options <= {*verb.options, *verb.shorthands, *COMMON}, f"{shown(page)}: {name}{rest}"


@pytest.mark.parametrize("page", [*PAGES, *LINKED], ids=shown)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link, heading in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        target = page.parent / link if link else page
        assert target.exists(), f"{shown(page)} links to {link}"
        assert not heading or heading in headings(target), f"{shown(page)} links to {link}#{heading}"


def headings(page: Path) -> list[str]:
    """The headings of a page as links name them."""
    texts = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in texts]


@pytest.mark.parametrize("page", [page for page in PAGES if page != HISTORY], ids=shown)
def test_files_and_folders_of_the_checkout_are_there(page: Path) -> None:
    named = {place for place in PLACE.findall(page.read_text(encoding="utf-8")) if "/KIND.py" not in place}
    missing = {place for place in named if not (ROOT / place).exists()}
    assert not missing, f"{shown(page)} names {', '.join(sorted(missing))}"
