"""Rides to be audited: enough of them for the statistical checks, and columns to plant leaks in.

`context` is what the checks take, `found` the outcome of one of them by its name.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import tiny

from foldline.evidence import audit
from foldline.evidence.audit.audit_check import CheckResult
from foldline.evidence.audit.audit_context import AuditContext
from foldline.experiment import config

SERIES, TEST_SERIES, STEPS = 60, 40, 10


def tables(**columns: np.ndarray) -> dict[str, pl.DataFrame]:
    """The rides' tables; `columns` are added to both files: (rows of train and test,), train first."""
    made = tiny.frames(SERIES, TEST_SERIES, STEPS)
    rows = SERIES * STEPS
    extra = {name: pl.Series(name, values) for name, values in columns.items()}
    made["train"] = made["train"].with_columns(column[:rows] for column in extra.values())
    made["test"] = made["test"].with_columns(column[rows:] for column in extra.values())
    return made


def rides(home: Path, made: dict[str, pl.DataFrame], inputs: str = "") -> None:
    """Write tables and their config; `inputs`: one more input column."""
    path = tiny.install(home, tiny.write(home.parent / "audited", made))
    if inputs:
        path.write_text(path.read_text().replace('"coasting"]', f'"coasting", "{inputs}"]'))


def leak(outcome: CheckResult, *named: str) -> None:
    """The outcome is a leak, and its detail names all of these."""
    assert outcome.verdict == "LEAK", outcome
    assert not [text for text in named if text not in outcome.detail], outcome.detail


def context(*overrides: str) -> AuditContext:
    """Make the context of the rides as they are on the disk now."""
    return AuditContext.of(config.load(Path("rides"), list(overrides)), Path(tempfile.mkdtemp(dir=".")))


def found(name: str, *overrides: str) -> CheckResult:
    """Run the check of that name on the rides."""
    (check,) = [check for check in audit.CHECKS if check.name == name]
    return check.run(context(*overrides))
