"""A metric file as data.metric names it: loaded once a process, and fed from arrays of truth and prediction."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core import unchanged
from foldline.core.errors import UserError
from foldline.data.metrics import kaggle_frames
from foldline.data.metrics.contract import Metric
from foldline.data.metrics.kaggle_file import FileMetric, KaggleFile, from_file
from foldline.data.metrics.labels import decided
from foldline.data.metrics.options import CLASSES, Answers, Array, FileChoice, Kind

WHOLE: tuple[Kind, ...] = ("binary", "multilabel", "multiclass", "ordinal")  # whose truth a file holds as integers


def metric_of(choice: FileChoice, kind: Kind, classes: int, solution: pl.DataFrame | None = None) -> FileMetric:
    """Make the metric.

    Args:
        choice: the file, and how it is fed.
        kind: of the target.
        classes: number of its labels.
        solution: further columns of the solution, one row an answer, where they are in no file.

    Raises:
        UserError: the file can't be loaded, or its score has another signature.
    """
    needs = "labels" if choice.decided else "probabilities" if kind in CLASSES else "values"
    answers = Answers(kind, classes)

    def build(
        truth: Array, prediction: Array, weight: Array | None, groups: Array | None
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        more = solution if solution is not None or not choice.solution else _solution(choice.solution)
        return _frames(choice, answers, truth, prediction, more, groups)

    return loaded(choice).as_metric(build, choice.row_id, kinds=(kind,), needs=needs, answers=answers)


def loaded(choice: FileChoice) -> KaggleFile:
    """Load the file; the same text with the same arguments only once."""
    path = Path(choice.path)
    changed = path.stat().st_mtime_ns if path.is_file() else 0
    return _loaded(choice.path, choice.higher_is_better, choice.arguments, changed)


@functools.lru_cache(maxsize=8)
def _loaded(path: str, higher_is_better: bool | None, arguments: str, changed: int) -> KaggleFile:
    return from_file(Path(path), higher_is_better=higher_is_better, arguments=json.loads(arguments))


def _frames(
    choice: FileChoice,
    answers: Answers,
    truth: Array,
    prediction: Array,
    solution: pl.DataFrame | None,
    numbers: Array | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lay answers out as the solution and the submission. numbers: (A,) their rows in `solution`."""
    both = [columns(choice, answers, truth, True), columns(choice, answers, prediction, False)]
    if len(choice.columns) != both[0].shape[1]:
        raise ValueError(f"{choice.path}: columns {choice.columns} do not name {both[0].shape[1]} values of an answer")
    extra, there = None, (choice.row_id, *choice.columns)  # which data.metric_columns may name, too
    if solution is not None and (more := [name for name in solution.columns if name not in there]):
        if numbers is None:
            raise ValueError(f"{choice.path}: data.metric_columns need the number of each answer")
        extra = solution[numbers].select(more)
    return kaggle_frames.frames(np.arange(len(truth)), both[0], both[1], choice.columns, choice.row_id, extra)


def columns(choice: FileChoice, answers: Answers, values: Array, true: bool) -> Array:
    """Return what the files hold of some answers: numbers (A, K), or labels (A, 1)."""
    if not choice.decided:
        return values.astype(np.int64) if true and answers.kind in WHOLE else values
    codes = decided(values, answers)
    places = (codes.argmax(axis=1) if answers.exclusive(values.shape[1]) else codes[:, 0]).astype(np.int64)
    return np.asarray(pl.Series(list(choice.labels)).to_numpy()[places][:, None])


@functools.lru_cache(maxsize=2)
def _solution(path: str) -> pl.DataFrame:
    unchanged.reads(Path(path))
    return pl.read_parquet(path)


def check(metric: Metric, truth: Array, numbers: Array) -> None:
    """Run a file's own examples, and score a sample of answers against themselves, shuffled, before any training.

    Probabilities are drawn towards the mean, as a file may refuse those of 0 and 1.

    Args:
        truth: (A, K) of all scored answers.
        numbers: (A,) of them in the training table.

    Raises:
        UserError: an example fails; the file raises, or returns no number.
    """
    if not isinstance(metric, FileMetric):
        return
    metric.file.check_doctests()
    rng = np.random.default_rng(0)
    try:
        _try(metric, truth, numbers, np.sort(rng.permutation(len(truth))[:SAMPLE]), rng)
    except UserError:  # a sample may lack a class, or part of a group: all answers decide
        _try(metric, truth, numbers, np.arange(len(truth)), rng)


SAMPLE = 1000  # answers that a metric file is tried on


def _try(metric: FileMetric, truth: Array, numbers: Array, rows: Array, rng: np.random.Generator) -> None:
    chosen = truth[rows]
    shuffled = chosen[rng.permutation(len(chosen))]
    if metric.needs == "probabilities":
        shuffled = (shuffled + chosen.mean(axis=0)) / 2
    metric.score(chosen, shuffled, None, numbers[rows])
