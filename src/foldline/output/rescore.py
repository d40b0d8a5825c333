"""Score a submission against the truth: for re-splits of finished competitions, whose test labels are known.

The truth is a table like train.csv: targets, row ids or what they are made of (data.id_template), the columns of
data.scored, and key and order for data.observed. Where it has a column `Usage` (Public, Private, Ignored), as Kaggle's
solution files have, each part gets its own score, as on the leaderboard, and ignored rows count nowhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data import (
    identity,
    loading,
    metrics,
    readers,
    static_levels,
    submission_ids,
    table_checks,
    target_labels,
)
from foldline.data.metrics import Metric, score_interval
from foldline.data.name_template import STEP
from foldline.data.roles import DataConfig
from foldline.data.scored_rows import names as names_of_condition
from foldline.data.submission_layout import Addresses, Layout
from foldline.data.table import Table
from foldline.data.task import WITH_LABELS, Task

USAGE = "Usage"  # column of a solution file: the leaderboard that a row counts for
IGNORED = "Ignored"


@dataclass(frozen=True)
class Scored:
    """The score of a part of the answers."""

    part: str  # all, or a value of Usage
    rows: int
    score: float
    low: float  # 95 % interval over series; NaN where the truth has no series column, or one series only
    high: float
    by_target: tuple[float, ...]  # (K,); empty where the columns are not targets of their own


def score(data: DataConfig, submission: Path, truth: Path) -> list[Scored]:
    """Score a submission: over all answers that count, then over each part.

    Raises:
        UserError: a file can't be read, a row of the truth is not in the submission, or the truth lacks a column or a
            value.
    """
    table, usage = _truth(data, truth)
    counts = table.asked & (usage != IGNORED) if usage is not None else table.asked
    _check_truth(table, counts)
    predicted = _predicted(table, submission, counts)
    with _metric(table) as chosen:
        found = [_scored(chosen, table, "all", counts, predicted)]
        for part in () if usage is None else sorted({str(name) for name in usage[counts]} - {"None"}):
            found.append(_scored(chosen, table, part, counts & (usage == part), predicted))
    return found


def _truth(data: DataConfig, path: Path) -> tuple[Table, np.ndarray | None]:
    """Read the truth; and the part of each of its answers, (A,) object, where it says so."""
    there = readers.columns(path)
    if data.id_template and data.id in there and not data.column_template:
        data = replace(data, id_template="", id_file="")  # it has the ids
    needed = _needed_columns(data, path, there)
    numbers = {name: pl.Float64() for name in needed if name in (*data.inputs, data.order, data.weight)}
    names: readers.Wanted = {name: pl.String() for name in needed if name in (*data.static, *data.metric_columns)}
    names |= {name: None for name in (data.key, *needed) if name in there and name not in (*numbers, *names)}
    wanted: readers.Wanted = {} if data.id_template else {data.id: None}
    wanted |= {**names, **numbers, **({USAGE: pl.String()} if USAGE in there else {}), **target_labels.wanted(data)}
    naming = submission_ids.wanted(path, data, labelled=False)
    frame = readers.read(path, naming | wanted)
    frame = frame.with_columns(
        static_levels.typed(frame[name], None, path) for name in data.static if name in frame.columns
    )
    usage = frame[USAGE] if USAGE in there else None
    if data.order in needed:  # what counts, or an id, follows from a step's place in its series
        order = frame[data.order].arg_sort()
        frame, usage = frame[order], None if usage is None else usage[order]
    if data.key not in frame.columns:
        lengths, places = np.ones(frame.height, dtype=np.int64), None
    else:
        frame, lengths, places = loading.by_series(frame, data.key)
    rows = frame.drop(USAGE, *(name for name in naming if name not in wanted), strict=False)
    table = Table(path, data, rows, lengths, places, classes=_classes(data))
    table = replace(table, naming=frame.select(list(naming)) if naming else None)
    table = submission_ids.with_id_file(submission_ids.with_row_ids(table), loading.source_folder(data))
    if not data.id_template and not table.task.on_series:
        _refuse_repeated(path, frame[data.id], data.column_template != "")
    if table.task.on_series:
        table_checks.constant(table, data.target, "is the answer of a series", "Mend that series.")
    parts = table.of_answers(frame.select(USAGE))[USAGE].to_numpy() if usage is not None else None
    return table, parts


def _needed_columns(data: DataConfig, path: Path, there: list[str]) -> list[str]:
    """List the columns that decide which rows count, and for how much.

    Raises:
        UserError: the truth lacks one.
    """
    by_step = [data.key, data.order] if data.observed else []
    condition = names_of_condition(data)
    groups = [data.group] if data.metric_options.groups != "pooled" else []
    templates = [name for template in data.templates for name in template.columns if name not in data.naming]
    made = [*templates, *([data.key, data.order] if STEP in data.naming else [])]
    weight = [data.weight] if data.weight else []
    for names, option, otherwise in (
        (condition, f"data.scored = {data.scored!r}", "`data.scored=` where all of its rows count"),
        (by_step, f"data.observed = {data.observed}", "`data.observed=0` where no known start is among its rows"),
        (weight, f"data.weight = {data.weight!r}", "`data.weight=` where all rows count the same"),
        (groups, f"metric_options.groups = {data.metric_options.groups!r}", "`data.metric_options.groups=pooled`"),
        (list(data.metric_columns), "data.metric_columns", "`data.metric_columns=[]`"),
        (made, "data.id_template or data.column_template", "one that has the ids"),
    ):
        lacking = sorted({*names} - {*there})
        if lacking:
            raise UserError(
                f"{path} lacks {', '.join(lacking)}, which {option} needs. Give a truth with it, or {otherwise}."
            )
    return list(dict.fromkeys([*by_step, *condition, *weight, *groups, *data.metric_columns, *made]))


def _classes(data: DataConfig) -> tuple[object, ...]:
    """Return the labels of the training table, where the target has any."""
    if data.kind not in WITH_LABELS:
        return ()
    if data.classes:
        return tuple(identity.normal(pl.Series(data.classes)).to_list())
    path = readers.locate(loading.source_folder(data), data.labels or "train")
    return Task.of(data, readers.read(path, target_labels.wanted(data)), path).classes


def _refuse_repeated(path: Path, ids: pl.Series, several: bool = False) -> None:
    """several: whether ids may come more than once, because a row of the submission has several answers."""
    if not several and identity.texts(ids).is_duplicated().any():
        raise UserError(f"{path}: {ids.name} must be unique, but some rows repeat one.")


def _check_truth(table: Table, counts: np.ndarray) -> None:
    """Check that there are answers that count, and that their targets are known. counts: (A,) bool."""
    data = table.data
    if not counts.any():
        condition = f"data.scored = {data.scored!r}, data.observed = {data.observed}"
        raise UserError(f"{table.path}: no row counts by {condition}, so there is nothing to score.")
    unknown = counts & ~np.isfinite(table.y).all(axis=1)
    if unknown.any():
        first = table.answers[data.id][int(np.flatnonzero(unknown)[0])]
        rule = "a finite number" if table.task.is_numeric else "given"
        raise UserError(
            f"{table.path}: the truth must be {rule} in every row that counts, but is not in {int(unknown.sum())} "
            f"(first {data.id}: {first}). Fill them, or leave these rows out."
        )


def _predicted(table: Table, path: Path, counts: np.ndarray) -> np.ndarray:
    """Read the predictions of the truth's answers, (A, K); zeros where they don't count. counts: (A,) bool."""
    data, task = table.data, table.task
    there = readers.columns(path)
    addresses = Addresses.of(table, there, path)
    columns = [name for name in addresses.known_columns if name in there or not data.column_template]
    frame = readers.read(path, {data.id: None, **dict.fromkeys(columns, None if addresses.labels else pl.Float64())})
    _refuse_repeated(path, frame[data.id])
    if addresses.labels:
        frame = frame.with_columns(pl.Series(name, task.codes_of(frame[name], path)[:, 0]) for name in columns)
    found = Layout.of(table, frame, path).parsed(frame)
    missing = counts & ~np.isfinite(found).all(axis=1)
    if missing.any():
        first = addresses.ids[0][int(np.flatnonzero(missing)[0])]
        raise UserError(
            f"{path} must predict every row of {table.path}, but {int(missing.sum())} are missing or empty "
            f"(first {data.id}: {first})."
        )
    found = np.where(counts[:, None], found, 0.0)
    return found == np.arange(len(task.classes)) if addresses.labels and data.kind == "multiclass" else found


@contextmanager
def _metric(table: Table) -> Iterator[Metric]:
    """Make the metric; a metric file finds data.metric_columns of the truth in its solution."""
    data, classes = table.data, table.classes
    with tempfile.TemporaryDirectory() as folder:
        solution = Path(folder) / "solution.parquet"
        if data.metric_columns:
            table.answers.select(data.metric_columns).write_parquet(solution)
        yield metrics.metric(*data.metric_choice(len(classes), classes, str(solution) if data.metric_columns else ""))


def _scored(chosen: Metric, table: Table, part: str, counts: np.ndarray, predicted: np.ndarray) -> Scored:
    """Score some answers. counts: (A,) bool, which."""
    chosen_ones = np.flatnonzero(counts)
    truth, values = table.y[chosen_ones], predicted[chosen_ones].astype(np.float64)
    beside = _beside(chosen, table, chosen_ones)
    low = high = float("nan")
    if table.data.key in table.frame.columns:
        series = np.repeat(np.arange(len(table.lengths)), table.answers_of_series)[chosen_ones]
        low, high, *_ = score_interval(chosen, truth, values, series, *beside)
    own = table.data.kind in ("regression", "multilabel") and not isinstance(chosen, metrics.FileMetric)
    targets = range(truth.shape[1]) if own else ()
    each = tuple(chosen(truth[:, [target]], values[:, [target]], *beside) for target in targets)
    return Scored(part, len(chosen_ones), chosen(truth, values, *beside), low, high, each)


def _beside(chosen: Metric, table: Table, answers: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return what the metric gets of answers beside truth and prediction, as Store.beside does for training."""
    weight = table.weight[answers] if table.weight is not None and chosen.weighted else None
    if isinstance(chosen, metrics.FileMetric):
        return weight, answers
    if chosen.options.groups == "pooled":
        return weight, None
    return weight, np.repeat(table.groups, table.answers_of_series)[answers]
