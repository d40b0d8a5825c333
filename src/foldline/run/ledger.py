"""The ledger: a CSV with one line a submission, its out-of-fold score and, once known, its leaderboard scores."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from foldline.core import files

COLUMNS = (
    *("sha256", "made", "config", "config_hash", "experiment", "cells", "test", "metric", "out_of_fold", "rows"),
    *("public", "private"),
)


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
    """Return the committed ledger, or that of simulated runs, which lies under runs/."""
    return files.runs() / "ledger.csv" if simulated else files.home() / "submissions" / "ledger.csv"


def entries(path: Path) -> list[dict[str, str]]:
    """Read the ledger's lines, oldest first; none where there is no ledger."""
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))) if path.exists() else []


def add_entry(path: Path, entry: dict[str, str]) -> bool:
    """Add a line to the ledger unless the submission's hash is in it; return whether it was added."""
    with files.lock(files.runs() / "locks" / "ledger"):
        rows = entries(path)
        if any(row["sha256"] == entry["sha256"] for row in rows):
            return False
        made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        _write(path, [*rows, {"made": made, "public": "", "private": "", **entry}])
        return True


def add_scores(path: Path, sha256: str, public: str, private: str) -> None:
    """Write the leaderboard's scores into a submission's line; an empty one leaves the old one."""
    with files.lock(files.runs() / "locks" / "ledger"):
        rows = entries(path)
        for row in rows:
            if row["sha256"] == sha256:
                row |= {"public": public or row["public"], "private": private or row["private"]}
        _write(path, rows)


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(path, text.getvalue())
