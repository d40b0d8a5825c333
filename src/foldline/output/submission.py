"""Submissions: predictions laid out as the sample has them, the gate that checks each file, the ledger's entry."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core import files
from foldline.core.errors import Finding, UserError, shortened
from foldline.data import identity, loading
from foldline.data.roles import DataConfig
from foldline.data.submission_layout import Layout
from foldline.data.table import Table
from foldline.data.target_range import TargetRange, is_coarse
from foldline.data.task import SHARES, Task
from foldline.output import own_layout
from foldline.run.ledger import Origin, add_entry, ledger_path

SUM_SLACK = 1e-6  # from 1, of probabilities as they are printed
RANGE_SLACK = 0.5  # of the training range: predictions may leave it by that much; beyond, something is wrong


def build(test: Table, predictions: np.ndarray, sample: pl.DataFrame | None) -> pl.DataFrame:
    """Lay predictions out as a submission: columns and row order of the sample, or of the test file without a sample.

    predictions: (A, K), in the order of the table's answers.
    """
    task, ids = test.task, test.answers[test.data.id]
    layout = Layout.of(task, None if sample is None else sample.columns)
    values = [task.labels(predictions)] if layout.labels else list(predictions.T)
    table = pl.DataFrame({test.data.id: ids} | dict(zip(layout.columns, values, strict=True)))
    if sample is None or loading.lays_out_itself(test.data):
        moved = None if task.on_series else test.file_rows
        return table if moved is None else table[np.argsort(moved)]
    rows = table[identity.places(sample[test.data.id], ids)].with_columns(sample[test.data.id])  # as it prints them
    return rows.select(rows[name] for name in sample.columns)


def check(
    test: Table, path: Path, sample: pl.DataFrame | None, expected: list[TargetRange], check_range: bool = True
) -> None:
    """Read a written submission back and check its layout and its values.

    Args:
        test: the table that it predicts.
        expected: (K,) range and digits of each target in training.
        check_range: whether numbers must lie near the training range (post.check_range).

    Raises:
        Finding: naming each rule that is broken.
    """
    if loading.lays_out_itself(test.data):
        _refuse(path, own_layout.problems(test.data, path.read_bytes()))
        return
    layout = Layout.of(test.task, None if sample is None else sample.columns)
    problems = _layout_problems(test.data, layout, path, sample)
    if not problems:
        table = _written(test.data, layout, path.read_bytes())
        problems = _value_problems(test, layout, table, sample, expected, check_range)
    _refuse(path, problems)


def _refuse(path: Path, problems: list[str]) -> None:
    if problems:
        listed = "\n".join(f"  - {text}" for text in problems)
        raise Finding(f"{path} is refused by the submission gate:\n{listed}")


def _value_problems(
    test: Table,
    layout: Layout,
    table: pl.DataFrame,
    sample: pl.DataFrame | None,
    expected: list[TargetRange],
    check_range: bool,
) -> list[str]:
    if layout.labels:
        return _label_problems(test.task, table[layout.columns[0]], sample)
    if not test.task.is_numeric:
        return _probability_problems(test.task, table.select(layout.columns), sample)
    asked, pairs = _asked(test, table), zip(layout.columns, expected, strict=True)
    return [text for name, near in pairs for text in _number_problems(table, name, sample, near, asked, check_range)]


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
    own_layout.laid_out(test, build(test, trial, None)).write_csv(stream)
    problems = [text for text in own_layout.problems(test.data, stream.getvalue()) if text != own_layout.AS_SAMPLE]
    if problems:
        raise UserError(f"{test.data.code_path}: what submission() returns is no submission: {'; '.join(problems)}.")


def _asked(test: Table, table: pl.DataFrame) -> np.ndarray:
    """Return which rows of a submission the metric counts, (rows,) bool."""
    places = identity.places(table[test.data.id], test.answers[test.data.id])
    return np.asarray(test.scored[places.to_numpy()])


def _layout_problems(data: DataConfig, layout: Layout, path: Path, sample: pl.DataFrame | None) -> list[str]:
    raw = path.read_bytes()
    if raw.startswith(b"\xef\xbb\xbf"):
        return ["it starts with a byte order mark; write plain UTF-8"]
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return [f"it is not UTF-8 ({error.reason} at byte {error.start})"]
    table = _written(data, layout, raw)
    wanted = sample.columns if sample is not None else [data.id, *layout.columns]
    if table.columns != wanted:
        return [f"its columns must be {','.join(wanted)}, but are {','.join(table.columns)}"]
    problems = []
    if table[data.id].n_unique() != table.height:
        problems.append(f"{data.id} must be unique, but {table.height - table[data.id].n_unique()} rows repeat one")
    if sample is not None and table[data.id].to_list() != sample[data.id].cast(pl.String).to_list():
        problems.append(
            f"its {data.id}s must be the sample's {sample.height}, in the sample's order, but are {table.height} others"
        )
    for name in () if layout.labels else layout.columns:
        if not table[name].dtype.is_numeric():
            problems.append(f"{name} must be numeric, but is {table[name].dtype}")
        elif table[name].null_count() or not table[name].cast(pl.Float64).is_finite().all():
            problems.append(f"{name} must be finite in every row")
    return problems


def _written(data: DataConfig, layout: Layout, raw: bytes) -> pl.DataFrame:
    """Parse a submission; ids and labels are texts, so that 0007 is not 7, and False stays as it is printed."""
    texts = dict.fromkeys((data.id, *(layout.columns if layout.labels else ())), pl.String())
    return pl.read_csv(io.BytesIO(raw), infer_schema_length=None, schema_overrides=texts)


def _label_problems(task: Task, written: pl.Series, sample: pl.DataFrame | None) -> list[str]:
    """written: (rows,) text. A sample of one label is filled in alike everywhere: a rare class may be predicted so."""
    known = {str(label) for label in task.classes}
    odd = [label for label in written.unique(maintain_order=True).to_list() if label not in known]
    problems = [f"{written.name} must hold labels of the training table, but holds {odd[0]!r}"] if odd else []
    filled_in = None if sample is None else sample[written.name].cast(pl.String)
    if filled_in is not None and filled_in.n_unique() > 1 and written.equals(filled_in):
        problems.append(f"{written.name} must not equal the sample submission")
    return problems


def _probability_problems(task: Task, table: pl.DataFrame, sample: pl.DataFrame | None) -> list[str]:
    values, names = table.cast(pl.Float64).to_numpy(), shortened(table.columns)
    if task.data.kind == "ordinal":
        low, high = 0.0, float(len(task.classes) - 1)
    else:
        low, high = 0.0, 1.0
    problems = []
    if values.min() < low or values.max() > high:
        problems.append(f"{names} must lie in [{low:g}, {high:g}], but reach {values.min():g} and {values.max():g}")
    if task.data.kind in SHARES and np.abs(values.sum(axis=1) - 1).max() > SUM_SLACK:
        problems.append(f"{names} must have the sum 1 in each row, but one has {values.sum(axis=1).min():g}")
    decided = task.metric.needs == "labels"  # rare labels are decided alike in all rows
    if len(values) > 1 and not decided and (values == values[0]).all():
        problems.append(f"{names} must not be constant")
    if sample is not None and np.array_equal(values, sample.select(table.columns).cast(pl.Float64).to_numpy()):
        problems.append(f"{names} must not equal the sample submission")
    return problems


def _number_problems(
    table: pl.DataFrame,
    name: str,
    sample: pl.DataFrame | None,
    target: TargetRange,
    asked: np.ndarray,
    check_range: bool,
) -> list[str]:
    """asked: (rows,) bool, which of them the metric counts: of the others only layout and digits are checked."""
    values = table[name].cast(pl.Float64).to_numpy()
    slack, counted = RANGE_SLACK * (target.high - target.low), values[asked]
    lowest, highest = float(counted.min(initial=np.inf)), float(counted.max(initial=-np.inf))
    problems = []
    if lowest == highest and len(counted) > 1 and target.low < target.high:
        problems.append(f"{name} must not be constant, but is {lowest:g} in every row")
    if sample is not None and np.array_equal(values, sample[name].cast(pl.Float64).to_numpy()):
        problems.append(f"{name} must not equal the sample submission")
    if check_range and (lowest < target.low - slack or highest > target.high + slack):
        known = f"[{target.low:g}, {target.high:g}]"
        problems.append(
            f"{name} must lie near the training range {known}, but goes from {lowest:g} to {highest:g}; "
            "post.clip = [low, high] brings it back, post.check_range = false lets it pass"
        )
    if is_coarse(values) and not target.coarse:
        problems.append(f"{name} must have enough digits, but three print every value")
    return problems


def publish(
    test: Table,
    origin: Origin,
    draft: Path,
    table: pl.DataFrame,
    sample: pl.DataFrame | None,
    expected: list[TargetRange],
    check_range: bool = True,
) -> Path:
    """Write a submission, check it at the gate, and enter it into the ledger.

    Args:
        test: the table that it predicts.
        draft: where it is written; one of real data is then copied to submissions/.
        table: predictions, as `build` lays them out; submission() of competition.py is called on them.

    Returns:
        its path: of the copy for real data, else of the draft.

    Raises:
        Finding: the gate refused it; the draft stays for inspection, nothing else is written.
    """
    with files.atomic(draft) as stream:
        table.write_csv(stream)
    if loading.lays_out_itself(test.data):
        plain = _value_problems(test, Layout.of(test.task, None), table, None, expected, check_range)
        _refuse(draft, plain)  # values are checked while it is known what they are
        with files.atomic(draft) as stream:
            own_layout.laid_out(test, table).write_csv(stream)
    check(test, draft, sample, expected, check_range)
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
            "metric": test.data.metric,
            "out_of_fold": f"{origin.out_of_fold:.6g}",
            "rows": str(table.height),
        },
    )
    return path
