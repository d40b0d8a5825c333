"""Forecasts in their natural shape: the history of a series in train, the future of the same series in test.

    train   a: o o o o o o o o o o o o            window a@9:   k k k k|p p p
    test    a:                         . . .      test    a:    k k k k|? ? ?          history = 4, horizon = 3

Behind this border a forecast is a table of series with a known start (known_start.py), whose length differs by series:
training series are cut into *windows*, at most `history` known rows (k) and `horizon` rows to be predicted (p), and the
rows of a test series stand behind the last rows that train has of it. Nothing else knows of forecasts. A window is
called by its series and its *origin*, the time of the first row that is predicted. Windows of one series may show each
other's answers: folds hold them together (Table.groups), or go by time, where an origin is a window's time.

Letters: N whole series of the training table, M of the test table, W windows, K targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data import identity, submission_ids, table_checks, times
from foldline.data.forecast_config import KNOWN, OF_SERIES
from foldline.data.ragged import consecutive
from foldline.data.roles import DataConfig
from foldline.data.table import Table

LATE = 1.5  # usual steps: more between train and test, beyond data.forecast.gap, is said


def check_columns(path: Path, columns: Sequence[str], data: DataConfig) -> None:
    """Refuse inputs that test lacks: nobody knows them when the future is to be predicted.

    path, columns: of the test table.

    Raises:
        UserError
    """
    lacking = [name for name in data.inputs if name not in columns]
    if lacking:
        raise UserError(
            f"{path} lacks {lacking[0]!r}, which data.inputs names: inputs of a forecast are what is known of the "
            "future, so both tables must have them. Leave it out; of the target's own past, target_lags make features."
        )


def training_windows(whole: Table) -> Table:
    """Cut the series of a training table into windows.

    Series that are too short for one are left out, and counted.

    Raises:
        UserError: all are, or no window has a target to be predicted.
    """
    data, config = whole.data, whole.data.forecast
    least = (2 if data.scales_by_start else 1) + config.gap  # rows before: a deviation needs two
    last = whole.lengths - config.horizon  # (N,) row of the last origin
    back = np.arange(config.windows)[::-1] * config.step
    series, place = np.nonzero(last[:, None] - back >= least)  # windows of a series in the order of time
    if not len(series):
        raise UserError(
            f"{whole.path}: with data.forecast.horizon = {config.horizon} a window takes {least + config.horizon} "
            f"rows, but the longest series has {whole.lengths.max()}. Take a shorter horizon."
        )
    origins = (last[:, None] - back)[series, place]  # (W,) rows of their series
    known = np.minimum(origins - config.gap, config.history)
    lengths = known + config.horizon
    first = whole.starts[series] + origins  # rows of the table
    rows = _joined(first - config.gap - known, known, first, np.full_like(known, config.horizon))
    frame = whole.frame[rows]
    names = _names(whole, series, origins)
    frame = frame.with_columns(
        frame[data.key].alias(OF_SERIES),
        pl.Series(data.key, names.gather(np.repeat(np.arange(len(series)), lengths))),
        pl.Series(KNOWN, np.repeat(known, lengths)),
    )
    facts = replace(whole.facts, most_known=int(known.max()))
    short = len(whole.lengths) - len(np.unique(series))
    notes = (
        [f"{short:,} of {len(whole.lengths):,} training series are too short for a window: left out"] if short else []
    )
    made = replace(whole, frame=frame, lengths=lengths, file_rows=None, facts=facts, naming=None, source=None)
    made = _from_its_start(replace(made, notes=tuple(notes)), whole.moments, rows)
    if not made.scored.any():
        raise UserError(
            f"{whole.path}: no window of data.forecast has a target to be predicted at a scored row. Take more "
            "windows, or other numbers of rows."
        )
    return made


def _names(whole: Table, series: np.ndarray, origins: np.ndarray) -> pl.Series:
    """Call windows by series and time of the origin, by its row where times don't tell them apart. (W,) each."""
    at = whole.starts[series] + origins
    clock = whole.frame[whole.data.order] if whole.moments is None else whole.moments
    names = identity.texts(whole.keys.gather(series))
    for origin in (times.printed(clock.gather(at)), pl.Series(origins)):
        found = pl.select(pl.format("{}@{}", names, identity.texts(origin))).to_series()
        if not found.is_duplicated().any():
            break
    return found


def _from_its_start(table: Table, moments: pl.Series | None, rows: np.ndarray) -> Table:
    """Let dates count from the start of each window. moments: of other rows, of which these are `rows`."""
    if moments is None:
        return table
    own, order = moments.gather(rows), table.data.order
    frame = times.since_start(table.frame.with_columns(own.alias(order)), order, table.data.key)
    return replace(table, frame=frame, moments=own.alias(order))


def test_windows(whole: Table, test: Table) -> Table:
    """Put the last rows of each test series in train, at most `history`, before its own rows.

    A series that train has not is predicted from nothing.

    Args:
        whole: the series of the training table. test: the test table as its file has it.

    Raises:
        UserError: a test series is longer than windows are, or does not lie behind its history; or has none, and
            the scale of its target needs one.
    """
    data, config = test.data, test.data.forecast
    table_checks.same_clock(whole, test)
    _refuse_long(test)
    found = identity.places(test.keys, whole.keys)  # (M,) places in train
    is_known = found.is_not_null().to_numpy()
    place = found.fill_null(0).to_numpy().astype(np.int64)
    known = np.where(is_known, np.minimum(whole.lengths[place], config.history), 0)
    _refuse_no_start(test, known)
    late = _check_times(whole, test, place, is_known)
    before = consecutive(whole.starts[place] + whole.lengths[place] - known, known)  # rows of train
    rows = _joined(np.cumsum(known) - known, known, len(before) + test.starts, test.lengths)
    of_test = rows >= len(before)
    parts = [_without_ids(whole.frame[before], test), test.frame]
    parts[0] = parts[0].with_columns(test.frame[data.key].gather(np.repeat(test.starts, known)))
    lengths = known + test.lengths
    frame = pl.concat(parts, how="vertical_relaxed")[rows].with_columns(pl.Series(KNOWN, np.repeat(known, lengths)))
    start = np.concatenate([whole.y[before], np.zeros((test.frame.height, len(data.target)))])[rows]
    own_rows = np.arange(test.frame.height) if test.file_rows is None else test.file_rows
    made = replace(
        test,
        frame=frame,
        lengths=lengths,
        start=start,
        file_rows=np.concatenate([np.full(len(before), -1), own_rows])[rows],
        naming=_naming(test, of_test),
        source=None,
        notes=_said(whole, test, int((~is_known).sum()), late),
    )
    return _from_its_start(made, _moments(whole, test, before), rows)


def _joined(past: np.ndarray, known: np.ndarray, future: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """List for each series `known` rows from `past` on, and behind them `lengths` rows from `future` on. (W,) each."""
    return consecutive(np.stack([past, future], axis=1).ravel(), np.stack([known, lengths], axis=1).ravel())


def _without_ids(frame: pl.DataFrame, test: Table) -> pl.DataFrame:
    """Take the columns that test has, without ids: those of history are of another file."""
    row_id, key = test.data.id, test.data.key
    dtype = test.frame[row_id].dtype
    there = [
        pl.lit(None, dtype).alias(row_id) if name == row_id != key else pl.col(name) for name in test.frame.columns
    ]
    return frame.select(there)


def _moments(whole: Table, test: Table, before: np.ndarray) -> pl.Series | None:
    """Return the dates of rows of train and all of test behind them; None: times are numbers.

    Raises:
        UserError: only one of the two has a zone.
    """
    if whole.moments is None or test.moments is None:
        return None
    try:
        return pl.concat(times.of_one_type([whole.moments.gather(before), test.moments]))
    except times.NotATime as error:
        raise UserError(
            f"{test.path}: {test.data.order!r} goes on from {whole.path} and must hold {error}. Write both alike."
        ) from error


def _naming(test: Table, of_test: np.ndarray) -> pl.DataFrame | None:
    """Return what ids and columns of a submission are made of, nothing at rows of train. of_test: (rows,) bool."""
    names = list(test.data.template_columns)
    if not names:
        return None
    places, mask = np.where(of_test, np.cumsum(of_test) - 1, 0), pl.Series(of_test)
    gathered = submission_ids.naming_rows(test).select(names)[places]
    return gathered.with_columns(pl.when(mask).then(pl.col(name)).alias(name) for name in names)


def _refuse_long(test: Table) -> None:
    config, data = test.data.forecast, test.data
    long = test.lengths > config.horizon
    if long.any():
        first = int(long.argmax())
        raise UserError(
            f"{test.path}: data.forecast.horizon = {config.horizon} must be at least the rows of each test series, but "
            f"{data.key} {test.keys[first]} has {test.lengths[first]}; {int(long.sum())} such. No training window "
            f"reaches so far: set it to {test.lengths.max()}."
        )


def _refuse_no_start(test: Table, known: np.ndarray) -> None:
    """Refuse series without the two known rows that their own scale is taken from. known: (M,)."""
    few, data = known < 2, test.data
    if data.scales_by_start and few.any():
        raise UserError(
            f"{test.path}: target_transform = {data.target_transform!r} takes mean and deviation of the rows that "
            f"train has of a test series, but {int(few.sum())} have fewer than two (first: {data.key} "
            f"{test.keys[int(few.argmax())]}). Take 'log1p' or 'rank', or leave it out."
        )


def _check_times(whole: Table, test: Table, place: np.ndarray, is_known: np.ndarray) -> int:
    """Refuse test rows that don't lie behind train's; return how many series have a gap between the two.

    place: (M,) of each test series in train, where it is known: (M,) bool.
    """
    data = test.data
    clocks = [_numbers(whole), _numbers(test)]
    ends = clocks[0][whole.starts[place] + whole.lengths[place] - 1]
    begins = clocks[1][test.starts]
    early = is_known & (begins <= ends)
    if early.any():
        first = int(early.argmax())
        raise UserError(
            f"{test.path}: with data.forecast a test series begins when its rows in {whole.path.name} have ended, but "
            f"{data.key} {test.keys[first]} begins at {_shown(test, int(test.starts[first]))}, and train has it until "
            f"{_shown(whole, int((whole.starts + whole.lengths - 1)[place[first]]))}; {int(early.sum())} such series. "
            "Where they are other series, give them names of their own."
        )
    inner = np.ones(len(clocks[0]), dtype=bool)
    inner[whole.starts] = False
    steps = np.diff(clocks[0], prepend=clocks[0][0])[inner]
    usual = float(np.median(steps)) if len(steps) else np.inf
    return int((is_known & (begins - ends > (test.data.forecast.gap + LATE) * usual)).sum())


def _numbers(table: Table) -> np.ndarray:
    """Return times that two tables share, (rows,): dates in microseconds."""
    if table.moments is None:
        return table.frame[table.data.order].to_numpy()
    found = table.moments
    return (found.dt.epoch("us") if isinstance(found.dtype, pl.Datetime) else found).to_numpy()


def _shown(table: Table, row: int) -> str:
    clock = table.frame[table.data.order] if table.moments is None else times.printed(table.moments)
    return str(identity.texts(clock.slice(row, 1))[0])


def _said(whole: Table, test: Table, new: int, late: int) -> tuple[str, ...]:
    """Say what is no mistake but good to know. new: series without history. late: with a gap behind it."""
    notes = []
    if new:
        notes.append(f"{new:,} of {len(test.lengths):,} test series have no history in {whole.path.name}")
    if late:
        notes.append(
            f"{late:,} of {len(test.lengths):,} test series begin later than {test.data.forecast.gap + 1} steps after "
            f"their rows in {whole.path.name}: if all do, say so by data.forecast.gap"
        )
    return tuple(notes)
