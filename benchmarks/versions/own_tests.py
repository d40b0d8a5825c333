"""The tests of an older version that the newer one has, too: by file and name, by name alone, or by renamed_tests.txt.

renamed_tests.txt has a line for each test with another name now: OLD NEW. A test without a successor is run on neither
side, so that both run the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

RENAMED = Path(__file__).with_name("renamed_tests.txt")
TEST = re.compile(r"^def (test_\w+)\(", re.MULTILINE)
Test = tuple[str, str]  # file in the checkout, name of the function


def successors(before: Iterable[Test], now: Iterable[Test]) -> dict[Test, Test]:
    """Return the test that each older one has become; those without a successor are left out."""
    before, now = list(before), list(now)
    by_file = {(Path(file).name, name): (file, name) for file, name in now}
    counts, old_counts = Counter(name for _, name in now), Counter(name for _, name in before)
    by_name = {name: (file, name) for file, name in now if counts[name] == 1}
    other_names = dict(line.split() for line in RENAMED.read_text(encoding="utf-8").splitlines())
    found = {}
    for file, name in before:
        successor = by_file.get((Path(file).name, name))
        if successor is None and old_counts[name] == 1:
            successor = by_name.get(name) or by_name.get(other_names.get(name, ""))
        if successor is not None:
            found[file, name] = successor
    return found


def in_files(checkout: Path) -> list[Test]:
    """List the test functions at the top level of a checkout's files."""
    files = sorted((checkout / "tests").rglob("test_*.py"))
    return [
        (str(file.relative_to(checkout)), name)
        for file in files
        for name in TEST.findall(file.read_text(encoding="utf-8"))
    ]


def collected(said: str) -> list[Test]:
    """List the test functions that `pytest --collect-only -q` has printed: what runs by default."""
    nodes = [line.partition("[")[0].split("::") for line in said.splitlines() if "::test_" in line]
    return list(dict.fromkeys((node[0], node[1]) for node in nodes if len(node) == 2))


def node_ids(tests: Iterable[Test]) -> str:
    """Write tests as a file that pytest reads: @FILE."""
    return "".join(f"{file}::{name}\n" for file, name in dict.fromkeys(tests))
