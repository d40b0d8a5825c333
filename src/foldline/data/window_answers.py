"""What is the answer of a window whose rows each have a target: data.windows.answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from foldline.data.roles import DataConfig
from foldline.data.task import WITH_LABELS, Task


def of_rows(path: Path, frame: pl.DataFrame, rows: np.ndarray, data: DataConfig) -> pl.DataFrame:
    """Return target and auxiliary targets of each window, (W, columns); with "last" and "first" its weight, too.

    A row without a target counts for nothing; a window without any is unlabelled.

    Args:
        path: of the table, for messages.
        frame: rows of the long series. rows: (W, length) which of them each window has.

    Raises:
        UserError: a label that the kind does not have.
    """
    how, tasks = data.windows.answer, [data, *(data.of_auxiliary(each) for each in data.auxiliary)]
    if how in ("last", "first"):
        names = [name for each in tasks for name in each.target] + ([data.weight] if data.weight else [])
        return frame[list(dict.fromkeys(names))][rows[:, -1 if how == "last" else 0]]
    columns: list[pl.Series] = []
    for each in tasks:
        if how == "majority":
            columns += [_majority(frame[name], rows) for name in each.target]
        else:
            columns += _mean(frame, rows, each) if how == "mean" else _greatest(path, frame, rows, each)
    return pl.DataFrame(columns)


def _mean(frame: pl.DataFrame, rows: np.ndarray, data: DataConfig) -> list[pl.Series]:
    """Return the mean of the values that there are, of each target; NaN where there is none."""
    found = []
    for name in data.target:
        values = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()[rows]
        known = ~np.isnan(values)
        with np.errstate(invalid="ignore"):
            found.append(pl.Series(name, np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)))
    return found


def _greatest(path: Path, frame: pl.DataFrame, rows: np.ndarray, data: DataConfig) -> list[pl.Series]:
    """Return the greatest number, the label that comes last in the order of classes, or 1 where any flag is 1."""
    task = Task.of(data, frame, path)
    found = []
    for name, values in zip(data.target, task.encode(frame, path).T, strict=True):
        most = pl.Series(name, np.fmax.reduce(values[rows], axis=1)).fill_nan(None)
        if data.kind in WITH_LABELS:
            found.append(pl.Series(name, list(task.classes)).gather(most.cast(pl.UInt32)))
        else:
            found.append(most if data.kind == "regression" else most.cast(pl.Int64))
    return found


def _majority(labels: pl.Series, rows: np.ndarray) -> pl.Series:
    """Return the most frequent label of each window, of several as frequent the first in the order of values."""
    windows = np.repeat(np.arange(len(rows), dtype=np.uint32), rows.shape[1])
    each = pl.DataFrame({"window": windows, "label": labels.gather(rows.ravel())}).drop_nulls()
    counted = each.group_by("window", "label").len().sort("len", "label", descending=[True, False])
    chosen = counted.unique("window", keep="first", maintain_order=True)
    every = pl.DataFrame({"window": np.arange(len(rows), dtype=np.uint32)})
    return every.join(chosen, on="window", how="left", maintain_order="left")["label"].alias(labels.name)
