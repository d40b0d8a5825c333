"""Pages for readers: the verbs, options, configs and files that they name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from foldline.cli.main import COMMON
from foldline.cli.verb_table import VERBS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
COMMAND = re.compile(r"\./run\.sh ([a-z]+)((?: +[^\s#`&|]+)*)")


def shown(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_commands_are_verbs_with_options_they_take(page: Path) -> None:
    for name, rest in COMMAND.findall(page.read_text(encoding="utf-8")):
        assert name in VERBS, f"{shown(page)} names a verb that is not there: {name}"
        verb = VERBS[name]
        if verb.module == "develop":
            continue
        options = {word.rstrip(".,;:)").partition("=")[0] for word in rest.split() if word.startswith("--")}
        assert options <= {*verb.options, *verb.shorthands, *COMMON}, f"{shown(page)}: {name}{rest}"


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_links_lead_to_files(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert link.startswith("http") or (page.parent / link).exists(), f"{shown(page)} links to {link}"
