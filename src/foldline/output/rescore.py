"""Score a submission against the truth: for re-splits of finished competitions, whose test labels are known.

The truth is a table with the row ids, the targets, the columns of data.scored, and key and order for data.observed.
Where it has a column `Usage` (Public, Private, Ignored), as Kaggle's solution files have, each part gets its own score,
as on the leaderboard, and ignored rows count nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data import identity, readers, scored_rows, static_levels
from foldline.data.metrics import metric, score_interval
from foldline.data.roles import DataConfig

USAGE = "Usage"  # column of a solution file: the leaderboard that a row counts for


@dataclass(frozen=True)
class Scored:
    """The score of a part of the rows."""

    part: str  # all, or a value of Usage
    rows: int
    score: float
    low: float  # 95 % interval over series; NaN where the truth has no series column, or one series only
    high: float
    by_target: tuple[float, ...]  # (K,)


def score(data: DataConfig, submission: Path, truth: Path) -> list[Scored]:
    """Score a submission: over all rows that count, then over each part.

    Raises:
        UserError: a file can't be read, a row of the truth is not in the submission, or the truth lacks a column or a
            value.
    """
    known = _truth(data, truth)
    predicted = readers.read(submission, {data.id: None, **dict.fromkeys(data.target, pl.Float64())})
    predicted = _identified(data, submission, predicted)
    renamed = {name: f"predicted {name}" for name in data.target}
    rows = known.join(predicted.rename(renamed), on=data.id, how="left", maintain_order="left")
    missing = rows.filter(_not_finite(renamed.values()))
    if missing.height:
        raise UserError(
            f"{submission} must predict every row of {truth}, but {missing.height} are missing or empty "
            f"(first {data.id}: {missing[data.id][0]})."
        )
    found = [_scored(data, "all", rows)]
    if USAGE in rows.columns:
        parts = rows.drop_nulls(USAGE).partition_by(USAGE, as_dict=True)
        found += [_scored(data, str(name[0]), part) for name, part in sorted(parts.items())]
    return found


def _truth(data: DataConfig, path: Path) -> pl.DataFrame:
    """Read the rows that count: id (text), targets, and key and Usage where they are there."""
    there = readers.columns(path)
    needed = _needed_columns(data, path, there)
    numbers = {name: pl.Float64() for name in needed if name in (*data.inputs, data.order)}
    names: readers.Wanted = {name: pl.String() for name in needed if name in data.static}
    names |= {name: None for name in (data.key, *needed) if name in there and name not in (*numbers, *names)}
    usage = {USAGE: pl.String()} if USAGE in there else {}
    wanted: readers.Wanted = {data.id: None, **names, **numbers, **usage, **dict.fromkeys(data.target, pl.Float64())}
    frame = _identified(data, path, readers.read(path, wanted))
    frame = frame.with_columns(
        static_levels.typed(frame[name], None, path) for name in data.static if name in frame.columns
    )
    if data.observed:
        frame = frame.filter(pl.col(data.order).rank("ordinal").over(data.key) > data.observed)
    if data.scored:
        frame = frame.filter(pl.Series(scored_rows.fulfilled(data, frame, path)))
    if usage:
        frame = frame.filter(pl.col(USAGE).ne_missing("Ignored"))
    return _checked(data, path, frame)


def _needed_columns(data: DataConfig, path: Path, there: list[str]) -> list[str]:
    """List the columns that decide which rows count.

    Raises:
        UserError: the truth lacks one.
    """
    by_step = [data.key, data.order] if data.observed else []
    condition = scored_rows.names(data)
    for names, option, otherwise in (
        (condition, f"data.scored = {data.scored!r}", "`data.scored=` where all of its rows count"),
        (by_step, f"data.observed = {data.observed}", "`data.observed=0` where no known start is among its rows"),
    ):
        lacking = sorted({*names} - {*there})
        if lacking:
            raise UserError(
                f"{path} lacks {', '.join(lacking)}, which {option} needs. Give a truth with it, or {otherwise}."
            )
    return [*by_step, *condition]


def _identified(data: DataConfig, path: Path, frame: pl.DataFrame) -> pl.DataFrame:
    """Cast the ids to text, and check that each occurs once."""
    frame = frame.with_columns(identity.texts(frame[data.id]))
    if frame[data.id].is_duplicated().any():
        raise UserError(f"{path}: {data.id} must be unique, but some rows repeat one.")
    return frame


def _checked(data: DataConfig, path: Path, frame: pl.DataFrame) -> pl.DataFrame:
    """Check that there are rows that count, and that their targets are finite."""
    if frame.height == 0:
        condition = f"data.scored = {data.scored!r}, data.observed = {data.observed}"
        raise UserError(f"{path}: no row counts by {condition}, so there is nothing to score.")
    unknown = frame.filter(_not_finite(data.target))
    if unknown.height:
        raise UserError(
            f"{path}: the truth must be a finite number in every row that counts, but is not in {unknown.height} "
            f"(first {data.id}: {unknown[data.id][0]}). Fill them, or leave these rows out."
        )
    return frame


def _not_finite(names: Iterable[str]) -> pl.Expr:
    return pl.any_horizontal(~pl.col(name).is_finite().fill_null(False) for name in names)


def _scored(data: DataConfig, part: str, rows: pl.DataFrame) -> Scored:
    chosen = metric(data.metric)
    truth = rows.select(data.target).to_numpy()
    predicted = rows.select(f"predicted {name}" for name in data.target).to_numpy()
    low = high = float("nan")
    if data.key in rows.columns:
        series = rows[data.key].rank("dense").to_numpy().astype(np.int64) - 1
        low, high, *_ = score_interval(chosen, truth, predicted, series)
    each = tuple(chosen(truth[:, [target]], predicted[:, [target]]) for target in range(truth.shape[1]))
    return Scored(part, rows.height, chosen(truth, predicted), low, high, each)
