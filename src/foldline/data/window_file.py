"""The file of windows (data.windows.file): a row a window, with its series, where it starts, and its answer.

HMS' train.csv is one: eeg_id, eeg_label_offset_seconds, six columns of votes, and patient_id.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError, unknown
from foldline.data import assemble, identity, readers, table_checks, target_labels, times
from foldline.data.assemble import Source
from foldline.data.roles import DataConfig
from foldline.data.windows import Places

ROUNDING = 1e-6  # of a product of offset and rate, in rows
UNEQUAL = 1e-3  # how far a step of the order may differ from the first one, as a share of it


@dataclass(frozen=True)
class WindowFile:
    """A file of windows that was read."""

    path: Path  # for messages
    frame: (
        pl.DataFrame
    )  # (W, columns): key, offset, targets, auxiliary ones; group, weight and metric's where it has them
    offset: str  # its column of offsets: Float64, Datetime or Int64

    @property
    def given(self) -> list[str]:
        """Columns that windows get from it."""
        return self.frame.columns[2:]

    def row(self, place: int, key: str) -> str:
        """Name a row in a message: train.csv, row 3 (eeg_id 7)."""
        return f"{self.path}, row {place + 1} ({key} {self.frame[key][place]})"


def read(source: Source, data: DataConfig) -> WindowFile | None:
    """Read the file of windows in the folder of the training table; None: windows lie by rows.

    Raises:
        UserError: it is not there, lacks a column, or a value is missing or of a wrong type.
    """
    config = data.windows
    if not config.file:
        return None
    found = assemble.located(source.folder, config.file, "data.windows.file")
    there = found.columns()
    wanted: readers.Wanted = {data.key: None, config.offset: readers.ORDER, **target_labels.of_training(data)}
    lacking = [name for name in wanted if name not in there]
    if lacking:
        raise unknown("column", lacking[0], there, f"{found.path} lacks a column that [data] names")
    own: readers.Wanted = {data.weight: pl.Float64()} if data.weight else {}
    own |= {} if data.groups_windows else {data.group: None}
    own |= dict.fromkeys((name for name in data.metric_columns if name not in own), pl.String())
    wanted |= {name: kind for name, kind in own.items() if name in there and name not in wanted}
    frame = target_labels.in_normal_form(found.path, found.read(wanted).frame, data)
    answers = [*data.target, *data.auxiliary_columns]
    numbers = [name for name in (config.offset, data.weight) if name in wanted]
    table_checks.values(found.path, frame.drop(answers), data, numbers)
    return WindowFile(found.path, frame, config.offset)


def placed(
    file: WindowFile, table: Path, frame: pl.DataFrame, lengths: np.ndarray, data: DataConfig
) -> tuple[Places, np.ndarray]:
    """Find where the windows of a file lie.

    Args:
        table: path of the long series, for messages.
        frame: their rows, those of a series together, in time order. lengths: (N,) rows of each.

    Returns:
        The places, by series and time, and the file's row of each window, (W,) int64.

    Raises:
        UserError: the file names a series that is not there, or a window that does not lie in its series.
    """
    config, starts = data.windows, np.cumsum(lengths) - lengths
    series = identity.places(file.frame[data.key], frame[data.key].gather(starts))
    if series.null_count():
        row = int(series.is_null().arg_true()[0])
        raise UserError(
            f"{file.row(row, data.key)}: it must name a series of {table}, but that one is not there; "
            f"{series.null_count()} such rows. Take both from one download."
        )
    of_row = series.to_numpy().astype(np.int64)
    if config.rate:
        _refuse_unequal_steps(table, frame, lengths, data)
        with np.errstate(over="ignore"):  # infinity is outside of any series
            first = np.ceil(file.frame[file.offset].cast(pl.Float64).to_numpy() * config.rate - ROUNDING)
    else:
        first = _by_order(file, table, frame[data.order], lengths, of_row)
    outside = (first < 0) | (first + config.length > lengths[of_row])
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise UserError(
            f"{file.row(row, data.key)}: a window must lie in its series, but {config.length:,} rows from "
            f"{file.offset} {file.frame[file.offset][row]} are rows {first[row] + 1:,.0f} to "
            f"{first[row] + config.length:,.0f} of {lengths[of_row[row]]:,}; {int(outside.sum())} such rows. Look at "
            "data.windows.length, rate and offset."
        )
    by_time = np.lexsort((first, of_row))
    return Places(of_row[by_time], first[by_time].astype(np.int64)), by_time


def _by_order(file: WindowFile, table: Path, order: pl.Series, lengths: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Return the first row of its series that is not before each offset, (W,) float64; -1: it is before the series."""
    offsets = file.frame[file.offset]
    try:
        alike = times.of_one_type([order, offsets])
    except times.NotATime as error:
        raise UserError(
            f"{file.path}: {file.offset!r} must be of the kind that {order.name!r} is in {table}, but one is "
            f"{offsets.dtype}, the other {order.dtype}. Say by data.windows.rate how many rows a unit of it has, or "
            "write both alike."
        ) from error
    moments, wanted = (column.to_physical().to_numpy() for column in alike)
    starts, first = np.cumsum(lengths) - lengths, np.empty(len(wanted))
    by_series = np.argsort(series, kind="stable")
    for rows in np.split(by_series, np.flatnonzero(np.diff(series[by_series])) + 1):
        start = starts[series[rows[0]]]
        inside = moments[start : start + lengths[series[rows[0]]]]
        first[rows] = np.where(wanted[rows] < inside[0], -1, np.searchsorted(inside, wanted[rows]))
    return first


def _refuse_unequal_steps(table: Path, frame: pl.DataFrame, lengths: np.ndarray, data: DataConfig) -> None:
    """Refuse series whose rows can't be counted by time."""
    order = frame[data.order].to_physical().to_numpy().astype(np.float64)
    steps = np.diff(order)
    inside = np.ones(len(steps), dtype=bool)
    inside[np.cumsum(lengths)[:-1] - 1] = False
    usual = steps[inside.argmax()] if inside.any() else 0.0
    odd = inside & (np.abs(steps - usual) > UNEQUAL * abs(usual))
    if odd.any():
        row = int(odd.argmax())
        raise UserError(
            f"{table}: data.windows.rate = {data.windows.rate:g} counts rows, so the steps of {data.order!r} must be "
            f"equal, but in {data.key} {frame[data.key][row]} it goes from {order[row]:.15g} to {order[row + 1]:.15g}, "
            f"where others step by {usual:.15g}. Leave rate out and give offsets as values of {data.order!r}, or "
            "resample the series."
        )
