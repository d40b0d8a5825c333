"""Cut the long series of a training table into windows, each a series of its own with one answer (windows.py).

A window is named SERIES@ROW, by the row of its series with which it starts, counted from 0. The windows of a series are
one group, unless data.group names a column; of that a series has one value.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data import on_disk, table_checks, window_answers, window_file, windows
from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.data.window_file import WindowFile
from foldline.data.windows import Places


@dataclass(frozen=True)
class Cut:
    """The windows of a training table."""

    frame: pl.DataFrame  # (W length, columns) their rows
    lengths: np.ndarray  # (W,) int64, all the same
    rows: np.ndarray  # (W length,) uint32, the row of the long table of each row
    note: str  # how many windows of what, a sentence


def not_read(data: DataConfig, file: WindowFile | None) -> list[str]:
    """Return the columns of windows that a table of long series need not have."""
    own = [data.group] if data.groups_windows else []
    return own + ([] if file is None else file.given)


def cut(path: Path, frame: pl.DataFrame, lengths: np.ndarray, data: DataConfig, file: WindowFile | None) -> Cut:
    """Cut a table of long series.

    Args:
        path: of the table, for messages.
        frame: its rows, those of a series together. It is emptied, a column at a time, so that it and its windows are
            never both in memory as a whole.
        lengths: (N,) rows of each series.
        file: where windows lie; None: by rows.

    Raises:
        UserError: no window fits, one does not lie in its series, or a series has two groups.
    """
    starts = np.cumsum(lengths) - lengths
    table_checks.increasing(path, frame, starts, data)
    if file is None:
        places = _by_rows(path, lengths, data)
        rows = places.rows(starts, data.windows.length)
        answers = window_answers.of_rows(path, frame, rows, data)
    else:
        places, of_file = window_file.placed(file, path, frame, lengths, data)
        rows, answers = places.rows(starts, data.windows.length), file.frame[file.given][of_file]
    series = frame[data.key].gather(starts[places.series])
    _refuse_split_groups(path, frame, series, answers, data)
    names = _names(series, places.first)
    added = {data.key: names} | ({data.group: series.alias(data.group)} if data.groups_windows else {})
    note = _note(path, places, lengths, data.windows.length)
    frame = _gathered(frame, rows.ravel(), answers.with_columns(added.values()), data.windows.length)
    return Cut(frame, np.full(len(names), data.windows.length, dtype=np.int64), rows.ravel(), note)


def _by_rows(path: Path, lengths: np.ndarray, data: DataConfig) -> Places:
    """Place windows by length and stride; at least one fits."""
    places = windows.by_stride(lengths, data.windows)
    if not len(places.series):
        raise UserError(
            f"{path}: no window of {data.windows.length:,} rows fits, for the longest series has {lengths.max():,}. "
            "Set data.windows.length to the rows of a test series."
        )
    return places


def _names(series: pl.Series, first: np.ndarray) -> pl.Series:
    """Name windows, (W,); of several that start at the same row, all but the first get a number, too.

    series: name of each window's long series. first: the row at which it starts.
    """
    frame, again = pl.DataFrame({"series": series, "first": first}), pl.int_range(pl.len()).over("series", "first")
    name = pl.format("{}@{}", "series", "first")
    named = frame.select(pl.when(again == 0).then(name).otherwise(pl.format("{}.{}", name, again)))
    return named.to_series().alias(series.name)


def _refuse_split_groups(
    path: Path, frame: pl.DataFrame, series: pl.Series, answers: pl.DataFrame, data: DataConfig
) -> None:
    """Refuse a series that has two groups: its windows may overlap, and would be on two sides of a fold.

    series: name of each window's. answers: what windows get from their file, or from rows.
    """
    if data.groups_windows or not data.group:
        return
    of_file = data.group in answers.columns
    pairs = answers.select(series, data.group) if of_file else frame.select(data.key, data.group)
    split = pairs.unique(maintain_order=True).filter(pl.col(data.key).is_duplicated())
    if split.height:
        name, groups = split[data.key][0], split.filter(pl.col(data.key) == split[data.key][0])[data.group]
        raise UserError(
            f"{path}: all windows of a series must be of one {data.group}, because they may overlap, but "
            f"{data.key} {name} has {data.group} {groups[0]} and {groups[1]}. Name as key what cuts it into parts, or "
            "leave data.group out: each series is then a group of its own."
        )


def series_of(names: pl.Series) -> pl.Series:
    """Return the names of the long series that windows were cut of, (W,). names: of the windows, texts."""
    return names.str.replace(r"@\d+(\.\d+)?$", "")


def _note(path: Path, places: Places, lengths: np.ndarray, length: int) -> str:
    """Say what was cut, and how many rows are in no window."""
    left = windows.rows_left_over(places, lengths, length)
    text = f"{path.name}: {len(places.series):,} windows of {length:,} rows, cut of {len(lengths):,} series"
    return text + (f"; {left:,} of {lengths.sum():,} rows are in none" if left else "")


def _gathered(frame: pl.DataFrame, rows: np.ndarray, of_windows: pl.DataFrame, length: int) -> pl.DataFrame:
    """Return the rows of all windows; a column of `of_windows`, (W, columns), stands on each row of its window."""
    each = np.repeat(np.arange(of_windows.height, dtype=np.uint32), length)
    own = [name for name in frame.columns if name not in of_windows]
    columns = {name: on_disk.kept(frame.drop_in_place(name).gather(rows)) for name in own}
    columns |= {name: on_disk.kept(of_windows[name].gather(each)) for name in of_windows.columns}
    return pl.DataFrame(columns)


def check_test(table: Table) -> None:
    """Refuse a test series that is longer than a window.

    Raises:
        UserError
    """
    length = table.data.windows.length
    if (longer := table.lengths > length).any():
        first = int(longer.argmax())
        raise UserError(
            f"{table.path}: a test series is one window, of at most data.windows.length = {length:,} rows, but "
            f"{table.data.key} {table.keys[first]} has {table.lengths[first]:,}; {int(longer.sum())} such series. Set "
            "data.windows.length to the rows of a test series, or keep the rows that are asked for by tables() in "
            "competition.py."
        )
