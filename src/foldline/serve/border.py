"""The border: rows as somebody hands them over become a checked table with the columns and types of training.

It is tolerant of what differs between a file that one has and one that only a server sees: types (a column of numbers
arrives as text because its first 100 rows were empty, whole numbers as floats), columns that are missing or too many,
rows in another order, categories that training never saw, series of any length from 1 on. It refuses what it would have
to guess: text where there must be a number, a row without its place in time, an infinite value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import (
    identity,
    known_start,
    known_values,
    readers,
    resample,
    scored_rows,
    static_levels,
    table_checks,
    target_labels,
    times,
)
from foldline.data.column_facts import ColumnFacts
from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.data.times import Clock
from foldline.data.wanted_columns import ORDER, Kind, Numbers, Wanted
from foldline.experiment.stored_experiment import StoredExperiment

ROWS = Path("the rows to predict")  # what messages call a table that came from nowhere
ONE_SERIES = "series"  # name of the only one, where the rows do not name it


@dataclass(frozen=True)
class Arrived:
    """Rows that passed the border. R rows of N series."""

    table: Table
    places: np.ndarray  # (rows that came,) int64: of each row of the table, before it was resampled, its place there


@dataclass(frozen=True)
class Border:
    """What training says of columns, and rows are brought to."""

    data: DataConfig
    levels: dict[str, tuple[object, ...]]  # known values of static columns and of inputs that are categories
    classes: tuple[object, ...]
    facts: ColumnFacts
    clock: Clock | None  # what the order was in training; None: an older record does not say it

    @staticmethod
    def of(stored: StoredExperiment) -> Border:
        """Take the columns of a stored experiment."""
        return Border(stored.config.data, stored.levels, stored.classes, stored.facts, stored.clock)

    @property
    def wanted(self) -> Wanted:
        """The columns that are read, and as what."""
        data = self.data
        numbers = (*data.numeric_inputs, *([data.observed] if isinstance(data.observed, str) else []))
        wanted: Wanted = {data.key: None}
        wanted |= dict.fromkeys((*data.static, *data.categorical_inputs), pl.String())
        wanted |= {data.order: ORDER} | dict.fromkeys(numbers, pl.Float64())
        wanted |= {name: Numbers(markers) for name, markers in data.markers.items()}
        wanted |= dict.fromkeys(data.known, pl.Float64())
        return wanted | (target_labels.wanted(data) if data.observed else {})

    def arrived(self, frame: pl.DataFrame) -> Arrived:
        """Bring rows to the columns, types and order of training.

        frame: (rows, columns), in any order; at least one row.

        Raises:
            UserError: a value that can't be what its column is, a row without its place in time, a missing key.
        """
        rows, places, lengths = in_order(self.typed(frame), self.data)
        return Arrived(self.table(rows, lengths), places)

    def table(self, rows: pl.DataFrame, lengths: np.ndarray) -> Table:
        """Make the table of rows with the columns and types of training, series after series, each in time order.

        lengths: (N,) int64 rows of each series.

        Raises:
            UserError: two rows of a series at one time, a static column with two values, an order of another kind
                than in training.
        """
        data = self.data
        kind = rows[data.order].dtype
        moments = rows[data.order] if kind != pl.Float64 and data.known_column else None
        rows = times.since_start(rows, data.order, data.key, data.level == "window")
        names = rows[data.key].alias(data.id) if data.on_series else pl.int_range(rows.height, eager=True)
        if data.id not in rows.columns:  # ids only name rows in messages here
            rows = rows.hstack([names.alias(data.id)])
        table = Table(
            ROWS,
            data,
            rows,
            lengths,
            classes=self.classes,
            facts=self.facts,
            since_start=kind != pl.Float64,
            of_dates=isinstance(kind, pl.Datetime),
            moments=moments,
        )
        table_checks.trained_clock(table, self.clock)
        known_start.check_counts(table)
        if data.observed:
            table = known_start.read_from(table)
        if data.known:
            table = known_values.read_from(table, labelled=False)
        _check_series(table)
        if data.shortens:
            table = resample.applied(table)
        return self._counted(table)

    def typed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the columns with a role as training has them; those that did not come are null.

        Raises:
            UserError: a value that can't be what its column is, a row without key or time.
        """
        data, wanted = self.data, self.wanted
        if data.order not in frame.columns:
            raise UserError(
                f"The rows to predict must have the column {data.order!r} (data.order), which says when each of them "
                f"is, but have {shortened(frame.columns)}."
            )
        there = {name: kind for name, kind in wanted.items() if name in frame.columns and not _is_empty(frame[name])}
        columns = self._read(frame, there)
        if data.key not in columns:
            if data.key in frame.columns:
                raise UserError(f"{data.key!r} must name the series of each row, but is empty in all {frame.height}.")
            columns[data.key] = pl.Series(data.key, [ONE_SERIES] * frame.height)
        for name in (data.key, data.order):
            missing = columns[name].null_count() if name in columns else frame.height
            if missing or (columns[name].dtype.is_float() and np.isnan(columns[name].to_numpy()).any()):
                raise UserError(
                    f"The rows to predict must all have a value in {name!r}, but {missing or 'some'} of {frame.height} "
                    "have none: nobody could say where they belong."
                )
        others = (name for name in wanted if name not in (data.key, data.order))
        roles = [self._role(name, columns.get(name), frame.height) for name in others]
        rows = pl.DataFrame([columns[data.key], columns[data.order], *roles])
        return target_labels.in_normal_form(ROWS, rows, data) if data.observed else rows

    def _read(self, frame: pl.DataFrame, wanted: Wanted) -> dict[str, pl.Series]:
        """Bring columns to their types: numbers that are numbers, and plain names, at once; all others are read."""
        data, found, rest = self.data, dict[str, pl.Series](), dict[str, Kind]()
        of_numbers = {name for name in (*data.static, *data.categorical_inputs) if _are_numbers(self.levels[name])}
        for name, kind in wanted.items():
            dtype = frame.schema[name]
            number = kind == pl.Float64 or name in of_numbers or (name == data.order and dtype.is_float())
            if number and dtype.is_numeric() and not dtype.is_decimal():
                found[name] = frame[name] if dtype == pl.Float64 else frame[name].cast(pl.Float64)
            elif kind is None and (dtype == pl.String or dtype.is_integer()):
                found[name] = identity.normal(frame[name])
            else:
                rest[name] = kind
        return found | (readers.given(ROWS, frame, rest).to_dict() if rest else {})

    def _role(self, name: str, column: pl.Series | None, height: int) -> pl.Series:
        """Return the column of an input, a static column or a known target; null, or NaN, where it is missing."""
        data = self.data
        if name in data.static or name in data.categorical:
            known = self.levels[name]
            if not known:  # a static column that is a number
                return pl.Series(name, [None] * height, dtype=pl.Float64) if column is None else _as_number(column)
            return _among(pl.Series(name, [None] * height, dtype=pl.String) if column is None else column, known)
        values = pl.Series(name, [None] * height, dtype=pl.Float64) if column is None else column
        if values.dtype.is_float() and np.isinf(values.to_numpy()).any():
            raise UserError(
                f"The rows to predict must hold finite numbers in {name!r}, or none, but hold infinity. Leave it empty."
            )
        return values.fill_null(float("nan")) if name in data.numeric_inputs and values.null_count() else values

    def _counted(self, table: Table) -> Table:
        """Say which answers count: what data.scored says, or all where it counts none of these."""
        if table.task.on_series:
            return table
        counted = ~table.observed
        if self.data.scored:
            frame = table.frame
            if table.missing:
                frame = frame.with_columns(pl.col(name).fill_nan(None) for name in table.missing)
            counted &= scored_rows.at_once(self.data, frame)
        return replace(table, counted=counted if counted.any() else np.ones_like(counted))


def _are_numbers(known: Sequence[object]) -> bool:
    """Return whether a column is one of numbers, by its known values; none where each number is itself."""
    return not known or not isinstance(known[0], str)


def _as_number(column: pl.Series) -> pl.Series:
    return _without_nan(column) if column.dtype.is_float() else static_levels.as_number(column, ROWS)


def _without_nan(column: pl.Series) -> pl.Series:
    return column.fill_nan(None) if np.isnan(column.to_numpy()).any() else column


def _is_empty(column: pl.Series) -> bool:
    """Return whether a column has no value: its type says nothing then."""
    return column.null_count() == len(column)


def _check_series(table: Table) -> None:
    """Refuse two rows of a series at one time, and a static column with two values.

    numpy looks first: of a few rows it is many times as fast as the checks that name what they have found.
    """
    data, starts = table.data, table.starts
    later = np.delete(np.diff(table.frame[data.order].to_numpy()), starts[1:] - 1)
    if not (later > 0).all():
        table_checks.increasing(ROWS, table.frame, starts, data)
    if any(table.frame[name].n_unique() > 1 for name in data.static):
        table_checks.constant(table, data.static, "is static", "Give each series one value.")


def in_order(rows: pl.DataFrame, data: DataConfig) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Sort rows by series, in order of first appearance, and by time.

    Returns:
        The rows; (rows,) int64 place of each where it came from; (N,) int64 rows of each series.
    """
    first = np.zeros(rows.height, dtype=np.int64)
    if rows[data.key].n_unique() > 1:
        numbered = pl.DataFrame({"key": rows[data.key], "row": np.arange(rows.height)})
        first = numbered.select(pl.col("row").min().over("key")).to_series().to_numpy()
    order = rows[data.order].to_physical().to_numpy()
    places = np.lexsort((order, first))  # stable
    moved = not np.array_equal(places, np.arange(len(places)))
    starts = np.flatnonzero(np.diff(first[places], prepend=-1))
    lengths = np.diff(starts, append=len(places)).astype(np.int64)
    return rows[places] if moved else rows, places, lengths


def _among(texts: pl.Series, known: Sequence[object]) -> pl.Series:
    """Return a column with the type of its known values; what none of them is, is null or stays unknown.

    texts: or numbers, where the known values are some.
    """
    if isinstance(known[0], str):
        if (odd := ~texts.is_in(list(known)) & texts.is_not_null()).any():  # 7.0 of a table that had a gap is 7
            whole = texts.str.replace(identity.WHOLE_FLOAT, "${1}")
            texts = texts.zip_with(~(odd & whole.is_in(list(known))), whole)
        return texts
    return _without_nan(texts if texts.dtype.is_float() else texts.str.strip_chars().cast(pl.Float64, strict=False))


def with_columns_of(
    rows: pl.DataFrame, beside: pl.DataFrame | None, wanted: Sequence[str], what: str, order: str = ""
) -> pl.DataFrame:
    """Give rows the wanted columns that only another frame has, found by the columns that both have.

    Of several rows there with the same values the last one counts. A frame of one row without such columns is said of
    all rows.

    Args:
        beside: None, or without rows: nothing is added.
        what: names it in messages.
        order: data.order, where the other frame has constants of series; empty: it may have a row a moment.

    Raises:
        UserError: they have no column in common, and it has several rows; both have the order, where one is given.
    """
    if beside is None or not beside.height:
        return rows
    new = [name for name in beside.columns if name in wanted and name not in rows.columns]
    if not new:
        return rows
    shared = [name for name in beside.columns if name in rows.columns]
    if order in shared:
        raise UserError(
            f"{what} must be constants of series, but have {order!r} (data.order) as the rows have: {shortened(new)} "
            'would be joined moment by moment. In serve.arguments call them "lags" if that is meant, else "ignored"; '
            "or leave that column out."
        )
    if not shared:
        if beside.height > 1:
            raise UserError(
                f"{what} must have a column in common with the rows, to be joined by, or one row, but has "
                f"{beside.height} rows with {shortened(beside.columns)}."
            )
        return rows.with_columns(pl.lit(beside[name][0], dtype=beside.schema[name]).alias(name) for name in new)
    names = [f"by {number}" for number in range(len(shared))]
    ours, theirs = (
        pl.DataFrame([_as_text(frame[name]).alias(by) for name, by in zip(shared, names, strict=True)])
        for frame in (rows, beside)
    )
    theirs = theirs.with_columns(beside[name] for name in new).unique(names, keep="last", maintain_order=True)
    found = ours.join(theirs, on=names, how="left", maintain_order="left", nulls_equal=True)
    return rows.with_columns(found[name] for name in new)


def _as_text(column: pl.Series) -> pl.Series:
    if column.dtype.is_temporal():
        return times.printed(times.of_temporal(column)).cast(pl.String)
    return identity.texts(column)
