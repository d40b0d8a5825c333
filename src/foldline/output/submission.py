"""Submissions: predictions laid out as the sample has them, the gate that checks each file, the ledger's entry."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core import files
from foldline.core.errors import Finding, UserError, shortened
from foldline.data import loading
from foldline.data.submission_layout import Layout
from foldline.data.table import Table
from foldline.data.target_range import TargetRange, is_coarse
from foldline.data.task import SHARES, Task
from foldline.output import own_layout
from foldline.run.ledger import Origin, add_entry, ledger_path

SUM_SLACK = 1e-6  # from 1, of probabilities as they are printed
RANGE_SLACK = 0.5  # of the training range: predictions may leave it by that much; beyond, something is wrong
REFUSED = ".refused"  # ending of the file beside a refused one that says why
LET_PASS = "post.check_range = false lets it pass"


def build(test: Table, predictions: np.ndarray, sample: pl.DataFrame | None) -> pl.DataFrame:
    """Lay predictions out as a submission: rows and columns of the sample, or in the test file's order without one.

    predictions: (A, K), in the order of the table's answers. Shares are divided by their sum: those of networks are
    sums of float32, and a clipped or foreign one need not be 1 at all.
    """
    if test.data.kind in SHARES:
        sums = predictions.sum(axis=1, keepdims=True)
        predictions = np.divide(predictions, sums, out=predictions.copy(), where=sums > 0)
    if loading.lays_out_itself(test.data):
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
    if loading.lays_out_itself(test.data):
        _refuse(path, own_layout.problems(test.task, path.read_bytes()))
        return
    layout = Layout.of(test, sample)
    problems = _layout_problems(layout, path, sample)
    if not problems:
        written = _written(layout, path.read_bytes())
        problems = _value_problems(layout, written, sample, expected, check_range)
    _refuse(path, problems)


def rehearse(test: Table) -> None:
    """Try submission() of competition.py, where there is one, on predictions that are all alike: before any training.

    Raises:
        UserError: it raises, or what it returns is not laid out like the sample submission.
    """
    if not loading.lays_out_itself(test.data):
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


def _value_problems(
    layout: Layout, written: pl.DataFrame, sample: pl.DataFrame | None, expected: list[TargetRange], check_range: bool
) -> list[str]:
    """Check labels or numbers, as the task has them."""
    names, test = layout.addresses.names, layout.addresses.table
    if layout.addresses.labels:
        return [text for name in layout.columns for text in _label_problems(test.task, written[name], sample)]
    values, copied = layout.parsed(written)[layout.answered], None
    if sample is not None:
        copied = layout.parsed(sample)[layout.answered]
    counted = test.scored[layout.answered]
    return _problems_of_numbers(test.task, names, values, copied, counted, expected, check_range)


def _plain_problems(test: Table, plain: pl.DataFrame, expected: list[TargetRange], check_range: bool) -> list[str]:
    """Check predictions that submission() has yet to lay out. plain: (A, ...), as own_layout.plain returns them."""
    task = test.task
    if task.submits_labels:
        return _label_problems(task, plain[task.data.target[0]].cast(pl.String), None)
    values = plain.select(task.columns).cast(pl.Float64).to_numpy()
    if not np.isfinite(values).all():
        return [f"{shortened(task.columns)} must be finite in every row"]
    return _problems_of_numbers(task, task.columns, values, None, test.scored, expected, check_range)


def _problems_of_numbers(
    task: Task,
    names: Sequence[str],
    values: np.ndarray,
    copied: np.ndarray | None,
    counted: np.ndarray,
    expected: list[TargetRange],
    check_range: bool,
) -> list[str]:
    """Check numbers. values, copied: (answers, C) of the file and of the sample; counted: (answers,) by the metric."""
    if not task.is_numeric:
        return _probability_problems(task, names, values, copied, check_range)
    return [
        text
        for number, (name, near) in enumerate(zip(names, expected, strict=True))
        for text in _number_problems(
            name, values[:, number], None if copied is None else copied[:, number], near, counted, check_range
        )
    ]


def _layout_problems(layout: Layout, path: Path, sample: pl.DataFrame | None) -> list[str]:
    raw, data = path.read_bytes(), layout.addresses.table.data
    if raw.startswith(b"\xef\xbb\xbf"):
        return ["it starts with a byte order mark; write plain UTF-8"]
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return [f"it is not UTF-8 ({error.reason} at byte {error.start})"]
    table = _written(layout, raw)
    wanted = list(layout.order)
    if table.columns != wanted:
        return [f"its columns must be {','.join(wanted)}, but are {','.join(table.columns)}"]
    problems = []
    if table[data.id].n_unique() != table.height:
        problems.append(f"{data.id} must be unique, but {table.height - table[data.id].n_unique()} rows repeat one")
    if sample is not None and table[data.id].to_list() != sample[data.id].cast(pl.String).to_list():
        problems.append(
            f"its {data.id}s must be the sample's {sample.height}, in the sample's order, but are {table.height} others"
        )
    for name in () if layout.addresses.labels else layout.columns:
        if not table[name].dtype.is_numeric():
            problems.append(f"{name} must be numeric, but is {table[name].dtype}")
        elif table[name].null_count() or not table[name].cast(pl.Float64).is_finite().all():
            problems.append(f"{name} must be finite in every row")
    return problems


def _written(layout: Layout, raw: bytes) -> pl.DataFrame:
    """Parse a submission; ids and labels are texts, so that 0007 is not 7, and False stays as it is printed."""
    addresses = layout.addresses
    texts = [addresses.table.data.id, *(layout.columns if addresses.labels else ())]
    return pl.read_csv(io.BytesIO(raw), infer_schema_length=None, schema_overrides=dict.fromkeys(texts, pl.String()))


def _label_problems(task: Task, written: pl.Series, sample: pl.DataFrame | None) -> list[str]:
    """written: (rows,) text. A sample of one label is filled in alike everywhere: a rare class may be predicted so."""
    known = {str(label) for label in task.classes}
    odd = [label for label in written.unique(maintain_order=True).to_list() if label not in known]
    problems = [f"{written.name} must hold labels of the training table, but holds {odd[0]!r}"] if odd else []
    filled_in = None if sample is None else sample[written.name].cast(pl.String)
    if filled_in is not None and filled_in.n_unique() > 1 and written.equals(filled_in):
        problems.append(f"{written.name} must not equal the sample submission")
    return problems


def _probability_problems(
    task: Task, names: Sequence[str], values: np.ndarray, copied: np.ndarray | None, check_range: bool
) -> list[str]:
    """Check probabilities, or expected ranks. values, copied: (answers, C) of the file and of the sample."""
    names = shortened(names)
    low, high = 0.0, float(len(task.classes) - 1) if task.data.kind == "ordinal" else 1.0
    problems = []
    if values.min() < low or values.max() > high:
        problems.append(
            f"{names} must lie in [{low:g}, {high:g}], but reach {values.min():g} and {values.max():g}; "
            f"post.clip = [{low:g}, {high:g}] brings them there"
        )
    if task.data.kind in SHARES and np.abs(values.sum(axis=1) - 1).max() > SUM_SLACK:
        problems.append(f"{names} must have the sum 1 in each row, but one has {values.sum(axis=1).min():g}")
    decided = task.metric.needs == "labels"  # rare labels are decided alike in all rows
    if check_range and len(values) > 1 and not decided and (values == values[0]).all():
        problems.append(f"{names} must not be constant; {LET_PASS}")
    if copied is not None and np.array_equal(values, copied):
        problems.append(f"{names} must not equal the sample submission")
    return problems


def _number_problems(
    name: str,
    values: np.ndarray,
    copied: np.ndarray | None,
    target: TargetRange,
    asked: np.ndarray,
    check_range: bool,
) -> list[str]:
    """Check the numbers of one target.

    Args:
        values: (answers,) of the file. copied: (answers,) of the sample.
        asked: (answers,) bool, which of them the metric counts: of the others only layout and digits are checked.
        target: what training had. A target that was constant there says nothing about what may be predicted.
    """
    varies, problems = target.low < target.high, []
    if copied is not None and varies and np.array_equal(values, copied):
        problems.append(f"{name} must not equal the sample submission")
    if not check_range:
        return problems
    slack, counted = RANGE_SLACK * (target.high - target.low), values[asked]
    lowest, highest = float(counted.min(initial=np.inf)), float(counted.max(initial=-np.inf))
    if lowest == highest and len(counted) > 1 and varies:
        problems.append(f"{name} must not be constant, but is {lowest:g} in every row; {LET_PASS}")
    if varies and (lowest < target.low - slack or highest > target.high + slack):
        known = f"[{target.low:g}, {target.high:g}]"
        problems.append(
            f"{name} must lie near the training range {known}, but goes from {lowest:g} to {highest:g}; "
            f"post.clip = [low, high] brings it back, {LET_PASS}"
        )
    if is_coarse(values) and not target.coarse:
        problems.append(f"{name} must have enough digits, but three print every value; {LET_PASS}")
    return problems


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


def publish(origin: Origin, draft: Path, table: pl.DataFrame, gate: Gate) -> Path:
    """Write a submission, check it at the gate, and enter it into the ledger.

    Args:
        draft: where it is written; one of real data is then copied to submissions/.
        table: predictions, as `build` lays them out; submission() of competition.py is called on them.

    Returns:
        its path: of the copy for real data, else of the draft.

    Raises:
        Finding: the gate refused it; the draft stays for inspection, and beside it the reasons, for the board.
    """
    write(draft, table)
    if loading.lays_out_itself(gate.test.data):
        with _reasons_beside(draft):  # while it is known which value is what
            _refuse(draft, _plain_problems(gate.test, table, gate.expected, gate.check_range))
        table = own_layout.laid_out(gate.test, table)
        write(draft, table)
    gate.admit(draft)
    return enter(origin, draft, gate.test.data.metric, table.height)


def write(draft: Path, table: pl.DataFrame) -> None:
    """Write a submission that the gate has yet to see."""
    with files.atomic(draft) as stream:
        table.write_csv(stream)


def enter(origin: Origin, draft: Path, metric: str, rows: int) -> Path:
    """Enter a submission that has passed the gate into the ledger, and return its path, as `publish` does."""
    hashed, path = files.sha256(draft), draft
    if not origin.simulated:
        path = files.home() / "submissions" / f"{origin.config}-{hashed[:8]}.csv"
        with files.atomic(path) as stream:
            stream.write(draft.read_bytes())
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
