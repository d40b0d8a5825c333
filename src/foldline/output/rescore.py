"""Score a submission against the truth: for re-splits of finished competitions, whose test labels are known.

Scores are those of training's table (data/true_answers.py): by the same metric, weights, groups and columns of a metric
file's solution. Where the truth (truth_file.py) has a column `Usage` (Public, Private, Ignored), as Kaggle's solution
files have, each part gets its own score, as on the leaderboard, and ignored rows count nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data import identity, readers, source_folder, submission_ids, target_labels
from foldline.data.metrics import FileMetric, KaggleFile, Metric, chosen_file
from foldline.data.roles import DataConfig
from foldline.data.submission_addresses import Addresses
from foldline.data.submission_layout import Layout
from foldline.data.table import Table
from foldline.data.task import Task
from foldline.data.true_answers import TrueAnswers
from foldline.output import truth_file
from foldline.output.truth_file import USAGE


@dataclass(frozen=True)
class Scored:
    """The score of a part of the rows."""

    part: str  # all, or a value of Usage
    rows: int
    score: float  # NaN where the metric is not defined on a part
    low: float  # 95 % interval; NaN where the truth does not say what is drawn, or has one of these only
    high: float
    by_target: tuple[float, ...]  # (K,), of several columns of numbers or labels; empty: they have no scores


@dataclass(frozen=True)
class Rescored:
    """The scores of a submission."""

    metric: Metric
    parts: list[Scored]  # all rows first


def score(data: DataConfig, submission: Path, truth: Path) -> Rescored:
    """Score a submission: over all rows that count, then over each part.

    Raises:
        UserError: a file can't be read, a row of the truth is not in the submission, or the truth lacks a column or a
            value.
    """
    data = truth_file.with_its_ids(data, truth)
    task = Task(data, target_labels.classes(data))
    known = truth_file.read(data, task.metric, truth)
    values = _predictions(task, known, submission, truth)
    answers = _true_answers(task, known, truth)
    found = [_scored("all", answers, values)]
    if USAGE in known.columns:
        for name in known[USAGE].drop_nulls().unique().sort().to_list():
            part = (known[USAGE] == name).fill_null(False).to_numpy()
            found.append(_scored(str(name), answers.where(part), values[part]))
    return Rescored(answers.metric, found)


def of_file(file: KaggleFile, data: DataConfig, submission: Path, truth: Path) -> float:
    """Score all targets at once by a metric file, over the rows that count; it gets all columns of the truth.

    data: of any of the targets.

    Raises:
        UserError: as of `score`, or the truth has no ids.
    """
    if data.id not in readers.columns(truth):
        raise UserError(f"{truth} lacks {data.id!r}, by which {file.path} tells rows apart: give a truth with the ids.")
    plain = replace(data, id_template="", id_file="", column_template="")
    counted = truth_file.read(plain, Task(plain, target_labels.classes(plain)).metric, truth)[data.id]
    solution, answer = (_all_columns(path, data.id, counted) for path in (truth, submission))
    return file.score(solution, answer, data.id)


def _all_columns(path: Path, row_id: str, counted: pl.Series) -> pl.DataFrame:
    """Read all columns of the rows that count. counted: (A,) their ids as texts."""
    ids = identity.texts(readers.read(path, {row_id: None})[row_id])
    frame = readers.look(path).with_columns(ids.alias(row_id)).filter(ids.is_in(counted.implode()))
    return frame.with_columns(identity.whole(frame[row_id]))


def _predictions(task: Task, known: pl.DataFrame, path: Path, truth: Path) -> np.ndarray:
    """Read what a submission predicts for the rows of the truth: (A, K), in the form of `Task.encode`."""
    data, there = task.data, readers.columns(path)
    rows = Table(truth, data, known, np.ones(known.height, dtype=np.int64), classes=task.classes)
    rows = submission_ids.with_id_file(rows, source_folder.of(data))
    addresses = Addresses.of(rows, there, path)
    columns = [name for name in addresses.known_columns if name in there or not data.column_template]
    kind = None if addresses.labels else pl.Float64()
    frame = truth_file.identified(data, path, readers.read(path, {data.id: None, **dict.fromkeys(columns, kind)}))
    if addresses.labels:
        frame = frame.with_columns(pl.Series(name, task.codes_of(frame[name], path)[:, 0]) for name in columns)
    found = Layout.of(rows, frame, path).parsed(frame)
    missing = ~np.isfinite(found).all(axis=1)
    if missing.any():
        raise UserError(
            f"{path} must predict every row of {truth}, but {int(missing.sum())} are missing or empty "
            f"(first {data.id}: {addresses.ids[0][int(np.flatnonzero(missing)[0])]})."
        )
    one_hot = addresses.labels and data.kind == "multiclass"
    return (found == np.arange(len(task.classes))).astype(np.float64) if one_hot else found


def _true_answers(task: Task, known: pl.DataFrame, path: Path) -> TrueAnswers:
    """Take the truth of all rows, with what the metric needs to know of them."""
    data, file = task.data, task.data.metric_choice(len(task.classes), task.classes).file
    metric = task.metric
    if file is not None:
        metric = chosen_file.metric_of(file, data.kind, len(task.classes), known.select(data.metric_columns))
    groups = _numbers(known, data.group) if metric.options.groups != "pooled" else None
    return TrueAnswers(
        metric=metric,
        y=task.encode(known, path),
        series=_numbers(known, data.key),
        subject=_numbers(known, data.group) if data.group else None,
        kind=data.kind,
        weight=known[data.weight].to_numpy() if data.weight and metric.weighted else None,
        groups=np.arange(known.height) if isinstance(metric, FileMetric) else groups,
    )


def _numbers(known: pl.DataFrame, name: str) -> np.ndarray:
    """Number what a column names, (A,) int64, empty cells last; without the column all rows are one."""
    if name not in known.columns:
        return np.zeros(known.height, dtype=np.int64)
    ranks = known[name].rank("dense")
    return (ranks - 1).fill_null(ranks.max() or 0).to_numpy().astype(np.int64)


def _scored(part: str, answers: TrueAnswers, values: np.ndarray) -> Scored:
    """Score a part. values: (A, K)."""
    score = answers.score(values) if part == "all" else answers.score_or_nan(values)
    interval = answers.interval(values)
    return Scored(part, len(values), score, interval.low, interval.high, tuple(answers.by_target(values)))
