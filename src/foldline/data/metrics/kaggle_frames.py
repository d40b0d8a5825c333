"""Solution and submission of a metric file: made from arrays, and laid out as Kaggle lays them out.

Letters: A answers, K columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foldline.core.errors import UserError, shortened

DROPPED = "Usage"  # a column of Kaggle's solution files, Public or Private, that metrics never see


def frames(
    ids: Sequence[Any] | np.ndarray | pl.Series,
    truth: np.ndarray,
    prediction: np.ndarray,
    columns: Sequence[str],
    row_id: str,
    extra: pl.DataFrame | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make solution and submission from arrays.

    Args:
        ids: (A,) unique.
        truth: (A, K) numbers or texts, as the solution file has them.
        prediction: (A, K) as the submission file has them.
        columns: (K,) names of the columns, the same in both.
        row_id: name of the ids' column.
        extra: (A, any) columns that only the solution has: weights, groups.
    """
    both = [
        pl.DataFrame({row_id: ids, **{name: each[:, place] for place, name in enumerate(columns)}})
        for each in (truth, prediction)
    ]
    return (both[0] if extra is None else pl.concat([both[0], extra], how="horizontal")), both[1]


def as_kaggle_gives_them(solution: pl.DataFrame, submission: pl.DataFrame, row_id: str, path: Path) -> tuple[Any, Any]:
    """Lay both out for a metric: pandas copies that it may change, with the same rows in the same order.

    The row id comes first, then the submission's columns in its order, then those that only the solution has. Both
    have a RangeIndex, and the types that a CSV gives: int64, float64, bool, text.

    Args:
        path: the metric file, for messages.

    Raises:
        UserError: no row id; ids that are not unique or not the same; a column that the solution lacks; nothing or
            NaN where a value must be.
    """
    for frame, what in ((solution, "solution"), (submission, "submission")):
        if row_id not in frame.columns:
            raise UserError(f"{path}: the {what} has no column {row_id!r}, by which rows are told apart.")
        if frame[row_id].is_duplicated().any():
            twice = frame[row_id].filter(frame[row_id].is_duplicated())[0]
            raise UserError(f"{path}: a row id stands once in the {what}, but {row_id} {twice} stands there twice.")
    solution = solution.drop(DROPPED, strict=False)
    shared = [name for name in submission.columns if name != row_id]
    if lacking := [name for name in shared if name not in solution.columns]:
        raise UserError(f"{path}: the solution lacks columns of the submission: {shortened(lacking)}.")
    own = [name for name in solution.columns if name not in submission.columns]
    truth, answer = _plain(solution.select(row_id, *shared, *own)), _plain(submission.select(row_id, *shared))
    answer = _in_order_of(truth, answer, row_id, path)
    for frame, what in ((truth, "solution"), (answer, "submission")):
        _refuse_nothing(frame, what, path)
    return truth.to_pandas().copy(), answer.to_pandas().copy()


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Cast to the types that reading a CSV gives."""
    kinds = {name: (kind, _as_from_csv(kind)) for name, kind in frame.schema.items()}
    changed: dict[Any, Any] = {
        name: wanted for name, (kind, wanted) in kinds.items() if wanted is not None and kind != wanted
    }
    return frame.cast(changed) if changed else frame  # a bootstrap asks a thousand times


def _as_from_csv(kind: pl.DataType) -> Any:
    if kind.is_integer():
        return pl.Int64
    if kind.is_float() or kind.is_decimal():
        return pl.Float64
    return pl.String if isinstance(kind, pl.Categorical | pl.Enum) or kind.is_temporal() else None


def _in_order_of(truth: pl.DataFrame, answer: pl.DataFrame, row_id: str, path: Path) -> pl.DataFrame:
    """Sort the submission's rows as the solution's."""
    if truth[row_id].equals(answer[row_id]):
        return answer
    if truth.schema[row_id] != answer.schema[row_id]:
        raise UserError(
            f"{path}: ids are of one type, but {row_id} is {truth.schema[row_id]} in the solution and "
            f"{answer.schema[row_id]} in the submission."
        )
    if set(truth[row_id]) != set(answer[row_id]):
        missing = sorted(set(map(str, truth[row_id])) - set(map(str, answer[row_id])))
        more = sorted(set(map(str, answer[row_id])) - set(map(str, truth[row_id])))
        raise UserError(
            f"{path}: solution and submission must have the same ids in {row_id}, but the submission lacks "
            f"{shortened(missing)}, and the solution {shortened(more)}."
        )
    return truth.select(row_id).join(answer, on=row_id, how="left", maintain_order="left")


def _refuse_nothing(frame: pl.DataFrame, what: str, path: Path) -> None:
    for series in frame:
        bad = series.null_count() + (int(series.is_nan().sum()) if series.dtype.is_float() else 0)
        if bad:
            raise UserError(
                f"{path}: a {what} has a value everywhere, but column {series.name} has none in {bad} of "
                f"{len(frame)} rows."
            )
