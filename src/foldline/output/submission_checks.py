"""The rules of the submission gate: layout, labels, probabilities and numbers, each broken one a sentence."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.chunks import chunks
from foldline.core.errors import shortened
from foldline.data import identity, on_disk
from foldline.data.submission_layout import Layout
from foldline.data.table import Table
from foldline.data.target_range import TargetRange, is_coarse
from foldline.data.task import SHARES, Task

BLOCK = 1 << 24  # bytes that are decoded at once
ROWS = 1 << 20  # whose ids are compared at once
SUM_SLACK = 1e-6  # from 1, of probabilities as they are printed
RANGE_SLACK = 0.5  # of the training range: predictions may leave it by that much; beyond, something is wrong
LET_PASS = "post.check_range = false lets it pass"


def value_problems(
    layout: Layout, written: pl.DataFrame, sample: pl.DataFrame | None, expected: list[TargetRange], check_range: bool
) -> list[str]:
    """Check labels or numbers, as the task has them."""
    names, test = layout.addresses.names, layout.addresses.table
    if layout.addresses.labels:
        return [text for name in layout.columns for text in _label_problems(test.task, written[name], sample)]
    answered = layout.answered
    chosen = slice(None) if answered.all() else answered  # a slice makes no copy
    values = layout.parsed(written)[chosen]
    copied = None if sample is None else layout.parsed(sample)[chosen]
    counted = test.scored[chosen]
    return _problems_of_numbers(test.task, names, values, copied, counted, expected, check_range)


def plain_problems(test: Table, plain: pl.DataFrame, expected: list[TargetRange], check_range: bool) -> list[str]:
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


def layout_problems(layout: Layout, path: Path, sample: pl.DataFrame | None) -> list[str]:
    """Check encoding, columns and ids, and that numbers are finite. sample: whose ids it must have, if there is one."""
    data = layout.addresses.table.data
    if path.suffix == ".csv" and (problem := _encoding_problem(path)):
        return [problem]
    table = written(layout, path)
    wanted = list(layout.order)
    if table.columns != wanted:
        return [f"its columns must be {','.join(wanted)}, but are {','.join(table.columns)}"]
    problems, ids = [], table[data.id]
    if not identity.is_unique(identity.whole(ids)):
        problems.append(f"{data.id} must be unique, but {table.height - ids.n_unique()} rows repeat one")
    if sample is not None and not _are_texts_of(ids, sample[data.id]):
        problems.append(
            f"its {data.id}s must be the sample's {sample.height}, in the sample's order, but are {table.height} others"
        )
    for name in () if layout.addresses.labels else layout.columns:
        if not table[name].dtype.is_numeric():
            problems.append(f"{name} must be numeric, but is {table[name].dtype}")
        elif table[name].null_count() or not table[name].cast(pl.Float64).is_finite().all():
            problems.append(f"{name} must be finite in every row")
    return problems


def _encoding_problem(path: Path) -> str:
    """Say why a file is no plain UTF-8; empty where it is."""
    decoder, done = codecs.getincrementaldecoder("utf-8")(), 0
    with path.open("rb") as stream:
        if stream.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            return "it starts with a byte order mark; write plain UTF-8"
        stream.seek(0)
        while True:
            block, waiting = stream.read(BLOCK), len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return f"it is not UTF-8 ({error.reason} at byte {done - waiting + error.start})"
            if not block:
                return ""
            done += len(block)


def _are_texts_of(ids: pl.Series, sample: pl.Series) -> bool:
    """Return whether texts are those that ids of a sample print as, in its order."""
    parts = chunks(len(ids), ROWS)
    return len(ids) == len(sample) and all(ids[part].equals(sample[part].cast(pl.String)) for part in parts)


def written(layout: Layout, path: Path) -> pl.DataFrame:
    """Read a submission; ids and labels are texts, so that 0007 is not 7, and False stays as it is printed."""
    addresses = layout.addresses
    texts = dict.fromkeys((addresses.table.data.id, *(layout.columns if addresses.labels else ())), pl.String())
    if path.suffix == ".parquet":
        frame = pl.scan_parquet(path, glob=False)
        frame = frame.cast({name: kind for name, kind in texts.items() if name in frame.collect_schema()})
    else:
        frame = pl.scan_csv(path, glob=False, infer_schema_length=None, schema_overrides=texts)
    return on_disk.collected(frame) if path.stat().st_size > on_disk.LARGE else frame.collect()


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
