"""Submissions: predictions laid out as the sample has them, the gate that checks each file, the ledger's entry."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core import files
from foldline.core.errors import Finding, UserError
from foldline.data import sample_submission
from foldline.data.roles import DataConfig
from foldline.data.submission_layout import Layout
from foldline.data.table import Table
from foldline.data.target_range import TargetRange
from foldline.data.task import SHARES
from foldline.output import own_layout, submission_checks
from foldline.run.ledger import Origin, add_entry, ledger_path

REFUSED = ".refused"  # ending of the file beside a refused one that says why


def build(test: Table, predictions: np.ndarray, sample: pl.DataFrame | None) -> pl.DataFrame:
    """Lay predictions out as a submission: rows and columns of the sample, or in the test file's order without one.

    predictions: (A, K), in the order of the table's answers. Shares are divided by their sum: those of networks are
    sums of float32, and a clipped or foreign one need not be 1 at all.
    """
    if test.data.kind in SHARES:
        sums = predictions.sum(axis=1, keepdims=True)
        predictions = np.divide(predictions, sums, out=predictions.copy(), where=sums > 0)
    if sample_submission.lays_out_itself(test.data):
        return own_layout.plain(test, predictions)
    return Layout.of(test, sample).laid_out(predictions)


def check(
    test: Table, path: Path, sample: pl.DataFrame | None, expected: list[TargetRange], check_range: bool = True
) -> None:
    """Read a written submission back and check its layout and its values.

    Args:
        test: the table that it predicts.
        expected: (K,) range and digits of each target in training.
        check_range: whether numbers must look like those of training (post.check_range).

    Raises:
        Finding: naming each rule that is broken.
    """
    if sample_submission.lays_out_itself(test.data):
        _refuse(path, own_layout.problems(test.task, path.read_bytes()))
        return
    layout = Layout.of(test, sample)
    problems = submission_checks.layout_problems(layout, path, sample)
    if not problems:
        written = submission_checks.written(layout, path)
        problems = submission_checks.value_problems(layout, written, sample, expected, check_range)
    _refuse(path, problems)


def rehearse(test: Table) -> None:
    """Try submission() of competition.py, where there is one, on predictions that are all alike: before any training.

    Raises:
        UserError: it raises, or what it returns is not laid out like the sample submission.
    """
    if not sample_submission.lays_out_itself(test.data):
        return
    columns = len(test.task.columns)
    trial = np.full((test.answers.height, columns), 1 / columns if columns > 1 else 0.5)
    stream = io.BytesIO()
    own_layout.laid_out(test, own_layout.plain(test, trial)).write_csv(stream)
    problems = [text for text in own_layout.problems(test.task, stream.getvalue()) if text != own_layout.AS_SAMPLE]
    if problems:
        raise UserError(f"{test.data.code_path}: what submission() returns is no submission: {'; '.join(problems)}.")


def _refuse(path: Path, problems: list[str]) -> None:
    if problems:
        listed = "\n".join(f"  - {text}" for text in problems)
        raise Finding(f"{path} is refused by the submission gate:\n{listed}")


@dataclass(frozen=True)
class Gate:
    """What a submission is checked by."""

    test: Table  # that it predicts
    sample: pl.DataFrame | None
    expected: list[TargetRange]  # (K,) range and digits of each target in training
    check_range: bool = True  # post.check_range

    def check(self, path: Path) -> None:
        """Check a written submission; see `check`."""
        check(self.test, path, self.sample, self.expected, self.check_range)

    def admit(self, draft: Path) -> None:
        """Check a draft; the reasons of a refusal are written beside it.

        Raises:
            Finding: it is refused.
        """
        with _reasons_beside(draft):
            self.check(draft)


@dataclass(frozen=True)
class Published:
    """A submission that has passed the gate."""

    path: Path  # of the copy for real data, else of the draft
    table: pl.DataFrame


@contextmanager
def _reasons_beside(draft: Path) -> Iterator[None]:
    """Write the reasons of a refusal beside the draft; without one, remove those of an earlier draft."""
    reasons = draft.with_suffix(REFUSED)
    try:
        yield
    except Finding as finding:
        files.write_text(reasons, f"{finding}\n")
        raise
    reasons.unlink(missing_ok=True)


def publish(origin: Origin, draft: Path, table: pl.DataFrame, gate: Gate) -> Published:
    """Write a submission, check it at the gate, and enter it into the ledger.

    Args:
        draft: where it is written; one of real data is then copied to submissions/.
        table: predictions, as `build` lays them out; submission() of competition.py is called on them.

    Raises:
        Finding: the gate refused it; the draft stays for inspection, and beside it the reasons, for the board.
    """
    write(draft, table)
    if sample_submission.lays_out_itself(gate.test.data):
        with _reasons_beside(draft):  # while it is known which value is what
            _refuse(draft, submission_checks.plain_problems(gate.test, table, gate.expected, gate.check_range))
        table = own_layout.laid_out(gate.test, table)
        write(draft, table)
    gate.admit(draft)
    return Published(enter(origin, draft, gate.test.data.metric, table.height), table)


def draft_of(folder: Path, stem: str, data: DataConfig) -> Path:
    """Return where a submission of these data is written: a Parquet file where the sample is one."""
    return folder / f"{stem}{sample_submission.ending(data)}"


def write(draft: Path, table: pl.DataFrame) -> None:
    """Write a submission that the gate has yet to see."""
    with files.atomic(draft) as stream:
        if draft.suffix == ".parquet":
            table.write_parquet(stream)
        else:
            table.write_csv(stream)
    other = draft.with_suffix(".csv" if draft.suffix == ".parquet" else ".parquet")
    other.unlink(missing_ok=True)  # written when the sample was such a file: `submit` would send it


def enter(origin: Origin, draft: Path, metric: str, rows: int) -> Path:
    """Enter a submission that has passed the gate into the ledger; return its path: of the copy, or of the draft."""
    hashed, path = files.sha256(draft), draft
    if not origin.simulated:
        path = files.home() / "submissions" / f"{origin.config}-{hashed[:8]}{draft.suffix}"
        with files.atomic(path) as stream, draft.open("rb") as written:
            shutil.copyfileobj(written, stream)
    add_entry(
        ledger_path(origin.simulated),
        {
            "sha256": hashed,
            "config": origin.config,
            "config_hash": origin.config_hash,
            "experiment": origin.experiment,
            "cells": origin.cells,
            "test": origin.test,
            "metric": metric,
            "out_of_fold": f"{origin.out_of_fold:.6g}",
            "rows": str(rows),
        },
    )
    return path
