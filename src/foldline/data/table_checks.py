"""Checks of a table when it is read; each refusal names the rule, the row and the way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data.roles import DataConfig
from foldline.data.table import Table


def values(path: Path, frame: pl.DataFrame, data: DataConfig, numbers: list[str]) -> None:
    """Refuse values that are missing or not finite, and row ids that are not unique.

    Args:
        path: for messages.
        frame: columns with a role, in the order of the file.
        numbers: columns that must be finite.

    Raises:
        UserError
    """
    for name in frame.columns:
        column = frame[name]
        number = name in numbers or column.dtype.is_float()
        bad = column.is_null() | ~column.is_finite() if number else column.is_null()
        if bad.any():
            row = int(bad.arg_true()[0])
            rule = "be a finite number" if number else "have a value"
            shown = "empty" if column[row] is None else column[row]
            count = int(bad.sum())
            rows = "1 such row" if count == 1 else f"{count} such rows"
            way_out = "Fill or drop" if set(data.target) <= set(frame.columns) else "A submission needs all rows: fill"
            raise UserError(
                f"{path}, row {row + 1} ({data.id} {frame[data.id][row]}): {name!r} must {rule}, but is {shown}; "
                f"{rows}. {way_out} {'it' if count == 1 else 'them'}: the pipeline never guesses."
            )
    if frame[data.id].n_unique() < frame.height:
        value = frame[data.id].filter(frame[data.id].is_duplicated())[0]
        times = int((frame[data.id] == value).sum())
        raise UserError(
            f"{path}: {data.id!r} must name each row once, but {value} comes {times} times. Drop the copies."
        )


def series(table: Table) -> None:
    """Refuse a series whose order column does not increase, or whose static columns change.

    Raises:
        UserError
    """
    data, frame = table.data, table.frame
    inside = np.ones(frame.height, dtype=bool)
    inside[table.starts] = False
    backwards = (np.diff(frame[data.order].to_numpy(), prepend=-np.inf) <= 0) & inside
    if backwards.any():
        row = int(np.flatnonzero(backwards)[0])
        raise UserError(
            f"{table.path}: {data.order!r} must increase inside a series, but in {data.key} {frame[data.key][row]} "
            f"it goes from {frame[data.order][row - 1]} to {frame[data.order][row]} ({data.id} {frame[data.id][row]}). "
            "Sort or mend that series."
        )
    for name in data.static:
        changed = (frame[name] != frame[name].shift(1)).fill_null(False).to_numpy() & inside
        if changed.any():
            row = int(np.flatnonzero(changed)[0])
            raise UserError(
                f"{table.path}: {name!r} is static, so it must be constant inside a series, but in {data.key} "
                f"{frame[data.key][row]} it changes from {frame[name][row - 1]} to {frame[name][row]}. "
                "List it under inputs instead."
            )


def scored(table: Table) -> None:
    """Refuse a data.scored that is no condition on a row's own values (scored_rows.py), or leaves nothing to score.

    Raises:
        UserError
    """
    data = table.data
    if not data.scored:
        if not table.scored.any():
            raise UserError(
                f"{table.path}: no series is longer than data.observed = {data.observed}: nothing to score."
            )
        return
    if not table.scored.any():
        behind = f" behind the {data.observed} observed steps" if data.observed else ""
        raise UserError(
            f"{table.path}: no row{behind} fulfils data.scored = {data.scored!r}, so there is nothing to score."
        )
