"""Score a submission against the truth: for re-splits of finished competitions, whose test labels are known.

The truth is a table with the row ids, the targets, and what [data] scored needs. Kaggle's solution files have a column
`Usage` besides (Public, Private, Ignored): then each part gets its score, as on the leaderboard.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline import readers
from foldline.errors import UserError
from foldline.metrics import Metric, metric
from foldline.series import DataConfig

USAGE = "Usage"
NORMAL = 1.96  # standard errors on either side of a 95 % interval


@dataclass(frozen=True)
class Scored:
    """The score of some rows."""

    part: str  # all, or a value of Usage
    rows: int
    score: float
    low: float  # 95 % interval over series; NaN where the truth names none, or only one
    high: float


def score(data: DataConfig, submission: Path, truth: Path) -> list[Scored]:
    """Scores of a submission, over all scored rows first, then over each part.

    Raises:
        UserError: a file can't be read, a row of the truth is not in the submission, or the truth lacks a column.
    """
    known = _truth(data, truth)
    said = readers.read(submission, {data.id: None, **dict.fromkeys(data.target, pl.Float64())})
    said = said.with_columns(pl.col(data.id).cast(pl.String))
    if said[data.id].is_duplicated().any():
        raise UserError(f"{submission}: {data.id} must be unique, but some rows repeat one.")
    renamed = {name: f"said {name}" for name in data.target}
    rows = known.join(said.rename(renamed), on=data.id, how="left", maintain_order="left")
    lost = rows.filter(pl.any_horizontal(pl.col(name).is_null() | pl.col(name).is_nan() for name in renamed.values()))
    if lost.height:
        raise UserError(
            f"{submission} must predict every row of {truth}, but {lost.height} are missing or empty "
            f"(first {data.id}: {lost[data.id][0]})."
        )
    found = [_scored(data, "all", rows)]
    if USAGE in rows.columns:
        parts = rows.filter(pl.col(USAGE) != "Ignored").partition_by(USAGE, as_dict=True)
        found += [_scored(data, str(name[0]), part) for name, part in sorted(parts.items())]
    return found


def _truth(data: DataConfig, path: Path) -> pl.DataFrame:
    """The scored rows: id (text), targets, and key and Usage where they are there."""
    there = readers.columns(path)
    asked = pl.sql_expr(data.scored).meta.root_names() if data.scored else []
    lacking = sorted({*asked} - {*there})
    if lacking:
        raise UserError(
            f"{path} lacks {', '.join(lacking)}, which data.scored = {data.scored!r} asks for. Give a truth with it, "
            "or `data.scored=` where all of its rows count."
        )
    inputs = {name: None if name in data.static else pl.Float64() for name in asked}
    names = {name: None for name in (data.key, USAGE) if name in there}
    frame = readers.read(path, {data.id: None, **names, **inputs, **dict.fromkeys(data.target, pl.Float64())})
    if data.scored:
        frame = frame.filter(pl.sql_expr(data.scored))
    if frame.height == 0:
        raise UserError(f"{path}: no row fulfils data.scored = {data.scored!r}, so there is nothing to score.")
    return frame.with_columns(pl.col(data.id).cast(pl.String))


def _scored(data: DataConfig, part: str, rows: pl.DataFrame) -> Scored:
    chosen = metric(data.metric)
    truth = rows.select(data.target).to_numpy()
    said = rows.select(f"said {name}" for name in data.target).to_numpy()
    low = high = float("nan")
    if data.key in rows.columns and rows[data.key].n_unique() > 1:
        series = rows[data.key].rank("dense").to_numpy().astype(np.int64) - 1
        low, high = interval(chosen, chosen.loss(truth, said), series)
    return Scored(part, rows.height, chosen(truth, said), low, high)


def interval(chosen: Metric, loss: np.ndarray, series: np.ndarray) -> tuple[float, float]:
    """Ends of the 95 % interval of a score, its series taken as drawn at random.

    The mean loss is a ratio (sum over series of losses, by that of values), whose error is that of its linearisation:
    Cochran 1977, Sampling Techniques, 3rd ed., sec. 6.3.

    Args:
        loss: (R, K) of each value.
        series: (R,) int64, the number of each row's series.
    """
    sums = np.bincount(series, weights=loss.sum(axis=1))
    counts = np.bincount(series) * loss.shape[1]
    mean = sums.sum() / counts.sum()
    residual = sums - mean * counts
    spread = len(sums) / (len(sums) - 1) * (residual**2).sum()
    half = NORMAL * np.sqrt(spread) / counts.sum()
    return chosen.finish(max(mean - half, 0.0)), chosen.finish(mean + half)
