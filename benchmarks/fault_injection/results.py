"""What commands have left in a home folder, without what differs between two runs: times, locks, pages with times."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import tiny

from benchmarks.fault_injection.children import Ended

Tree = dict[str, bytes]  # file, below a folder -> its content
# Keys of JSON objects that hold times, or sums over files with times in them.
TIMED = re.compile(r"^time\.|_s$|^(seconds|minutes|made|created|cost|step|growth|checksum|files|bytes|peak_bytes)$")
LEFT_OUT = re.compile(
    r"\.html$|\.journal$|\.lock$|/leases/|/locks/|(made|progress|cost)\.json$"  # with times, or names that are drawn
    r"|\.foldline-tmp$"  # what a kill leaves is swept ten minutes later
    r"|runs/cells/\w+/(done|test-\w+)\.json$"  # checksums of histories with times; what they vouch for is compared
)


def of(folder: Path) -> Tree:
    """Return every file below a folder that two runs must have in common, and its content without times."""
    found = tiny.tree(folder)
    return {name: _timeless(name, content) for name, content in found.items() if not LEFT_OUT.search(name)}


def _timeless(name: str, content: bytes) -> bytes:
    try:
        if name.endswith("ledger.csv"):
            rows = [{**row, "made": ""} for row in csv.DictReader(io.StringIO(content.decode()))]
            return json.dumps(rows).encode()
        if name.endswith((".json", ".jsonl")):
            texts = content.decode().splitlines() if name.endswith("l") else [content.decode()]
            return json.dumps([without_times(json.loads(text)) for text in texts]).encode()
    except ValueError:  # damaged
        return content
    return content


def without_times(value: Any) -> Any:
    """Return a JSON value without the entries that say how long something took, or when it was."""
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if not TIMED.search(key)}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


def differences(now: Tree, wanted: Tree) -> str:
    """Say which files are not as they should be; empty where all are."""
    missing, more = sorted(wanted.keys() - now.keys()), sorted(now.keys() - wanted.keys())
    other = sorted(name for name in wanted.keys() & now.keys() if now[name] != wanted[name])
    named = {"missing": missing, "not expected": more, "differ": other}
    return "; ".join(f"{what}: {', '.join(names[:6])}" for what, names in named.items() if names)


def answer(ended: Ended) -> Any:
    """Return what a command with --json has answered, without times."""
    return without_times(json.loads(ended.out))
