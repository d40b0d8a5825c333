"""The ledger: a CSV with one line a submission, its out-of-fold score and, once known, its leaderboard scores.

It is the user's: git ignores submissions/, so that no submission changes a committed file. It is not under runs/, which
can be deleted at any time: scores of a leaderboard can't be made again.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from foldline.core import files, locks
from foldline.core.errors import UserError

COLUMNS = (
    *("sha256", "made", "config", "config_hash", "experiment", "cells", "test", "metric", "out_of_fold", "rows"),
    *("public", "private"),
)
SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a submission comes from, as the ledger says it."""

    config: str  # name
    config_hash: str
    experiment: str  # its folder under runs/CONFIG
    cells: str  # hash of all cells' keys
    test: str  # fingerprint of the test table
    out_of_fold: float  # score by the metric
    simulated: bool


def ledger_path(simulated: bool) -> Path:
    """Return the ledger of real data, or that of simulated runs, which lies under runs/."""
    return files.runs() / "ledger.csv" if simulated else files.home() / "submissions" / "ledger.csv"


@dataclass(frozen=True)
class ReadLedger:
    """A ledger's lines, oldest first."""

    rows: list[dict[str, str]]
    damaged: dict[int, str]  # number of a line in the file -> a line that is no entry: cut off, a mark of a conflict


def entries(path: Path) -> list[dict[str, str]]:
    """Read the ledger's entries, oldest first; none where there is no ledger.

    Raises:
        UserError: it has other columns.
    """
    return read(path).rows


def read(path: Path) -> ReadLedger:
    """Read a ledger line by line, so that a damaged line takes no other one with it.

    Raises:
        UserError: it has other columns, or other separators.
    """
    raw = path.read_bytes() if path.exists() else b""
    # A byte order mark is a spreadsheet program's; bytes that are no UTF-8 come back unchanged where they are kept.
    text = raw.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="surrogateescape")
    lines = {number: line.rstrip("\r") for number, line in enumerate(text.split("\n"), start=1)}
    lines = {number: line for number, line in lines.items() if line.strip()}
    header, rows, damaged = ",".join(COLUMNS), [], {}
    for number, line in lines.items():
        row = _parsed(line)
        if row is not None:
            rows.append(row)
        elif line != header:
            damaged[number] = line
    if lines and header not in lines.values():
        first = next(iter(lines.values()))[:100].encode("utf-8", errors="replace").decode()
        raise UserError(
            f"{path} must have the columns {header}, separated by commas, but begins with {first!r}. Give it these "
            "columns again, or move it away: then a new one is begun."
        )
    return ReadLedger(rows, damaged)


def _parsed(line: str) -> dict[str, str] | None:
    """Read a line as an entry; None: it is none."""
    try:
        values = next(csv.reader([line], strict=True))
    except csv.Error:
        return None
    whole = len(values) == len(COLUMNS) and SHA256.fullmatch(values[0]) is not None
    return dict(zip(COLUMNS, values, strict=True)) if whole else None


def damaged_path(path: Path) -> Path:
    """Return where the damaged lines of a ledger are kept."""
    return path.with_name(path.name + ".damaged")


def damaged_lines(path: Path) -> list[str]:
    """List a ledger's damaged lines: those that are in it, and those that were kept aside."""
    return [*_kept_aside(path), *read(path).damaged.values()]


def _kept_aside(path: Path) -> list[str]:
    kept = damaged_path(path)
    text = kept.read_bytes().decode("utf-8", errors="surrogateescape") if kept.exists() else ""
    return [line for line in text.split("\n") if line]


def check(path: Path) -> str:
    """Check a ledger before anything is trained; return what is wrong with its lines, empty where nothing is.

    Raises:
        UserError: it has other columns.
    """
    numbers = list(read(path).damaged)
    if not numbers:
        return ""
    which = f"line {numbers[0]} is" if len(numbers) == 1 else f"lines {', '.join(map(str, numbers[:9]))} are"
    return (
        f"{path}: {which} no entry (a mark of a merge, or cut off?). With the next entry this goes to "
        f"{damaged_path(path).name}, and nothing of it is lost."
    )


def add_entry(path: Path, entry: dict[str, str]) -> bool:
    """Add a line to the ledger unless the submission's hash is in it; return whether it was added."""
    with locks.lock(files.runs() / "locks" / "ledger"):
        ledger = read(path)
        if any(row["sha256"] == entry["sha256"] for row in ledger.rows):
            return False
        made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        new = {"made": made, "public": "", "private": "", **entry}
        _write(path, replace(ledger, rows=[*ledger.rows, new]))
        return True


def add_scores(path: Path, sha256: str, public: str, private: str) -> None:
    """Write the leaderboard's scores into a submission's line; an empty one leaves the old one."""
    with locks.lock(files.runs() / "locks" / "ledger"):
        ledger = read(path)
        for row in ledger.rows:
            if row["sha256"] == sha256:
                row |= {"public": public or row["public"], "private": private or row["private"]}
        _write(path, ledger)


def _write(path: Path, ledger: ReadLedger) -> None:
    """Write the entries; damaged lines are kept aside first, each once however often a kill repeats that."""
    kept = _kept_aside(path)
    new = [line for line in dict.fromkeys(ledger.damaged.values()) if line not in kept]
    if new:
        with files.atomic(damaged_path(path)) as stream:
            stream.write("".join(f"{line}\n" for line in [*kept, *new]).encode("utf-8", errors="surrogateescape"))
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(ledger.rows)
    with files.atomic(path) as stream:
        stream.write(text.getvalue().encode("utf-8", errors="surrogateescape"))
