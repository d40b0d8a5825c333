"""When series are: the time span of each, by a column of numbers or dates (folds.by)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from foldline.core import files
from foldline.core.errors import UserError, unknown
from foldline.data import identity, readers, times
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.table import Table

DAY = 86_400_000_000  # microseconds: dates are counted in these, gaps between them in days

DATES = (  # what a text may be, the last four with an offset from UTC
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M%#z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
)


@dataclass(frozen=True)
class TimeSpans:
    """The time spans of n series, and how far what is trained on stays away from what is predicted."""

    first: np.ndarray  # (n,) int64 or float64; of dates microseconds since 1970
    last: np.ndarray  # (n,) the same type, none before `first`
    gap: float  # in the same unit; a whole number where times are whole
    of_dates: bool = False

    def of(self, series: np.ndarray) -> TimeSpans:
        """Return those of some series. series: (n,) places, or bool."""
        return replace(self, first=self.first[series], last=self.last[series])

    def in_unit(self, length: float) -> float:
        """Convert a length that a config gives (days, of dates) to the unit of the spans."""
        return _whole(length * DAY if self.of_dates else length)

    def shown(self, time: float) -> str:
        """Return a time for messages."""
        if not self.of_dates:
            return f"{time:.15g}"
        return str(pl.Series([int(time)]).cast(pl.Datetime("us"))[0]).removesuffix(" 00:00:00")

    @cached_property
    def fingerprint(self) -> str:
        """Hash of spans and gap."""
        return files.digest([files.digest_arrays(self.first, self.last), self.gap])


def _whole(length: float) -> float:
    """Return an int where a number is whole: sums of whole times stay exact."""
    return int(length) if float(length).is_integer() else length


def read(config: FoldsConfig, table: Table) -> TimeSpans:
    """Read the spans of a table's series.

    Raises:
        UserError: there is no such column, or it holds something else than numbers or dates, or nothing.
    """
    by = config.by or table.data.order
    times = _times(_column(by, table), by, table)
    of_dates = times.dtype == pl.Datetime("us")
    values, starts = times.to_physical().to_numpy(), np.cumsum(table.rows_in_file) - table.rows_in_file
    if table.data.known_column:  # what is known is no answer: a window lies where it is predicted
        predicted = np.repeat(table.known_steps < table.lengths, table.lengths)  # a series without is where it lies
        kept = ~table.observed | ~predicted
        values, counts = values[kept], np.add.reduceat(kept, table.starts, dtype=np.int64)
        starts = np.cumsum(counts) - counts
    first, last = (each.reduceat(values, starts) for each in (np.minimum, np.maximum))
    spans = TimeSpans(first, last, 0, of_dates)
    return replace(spans, gap=spans.in_unit(config.gap))


def _column(name: str, table: Table) -> pl.Series:
    """Return a column of the rows; one without a role is read from the file, and so are dates of the order.

    Of a table with fewer steps than rows every column is read from the file.
    """
    moved = table.since_start or bool(table.cut)
    if name in table.frame.columns and table.rows_read is None and not (name == table.data.order and moved):
        return table.frame[name]
    if name == table.data.order and table.moments is not None:
        return table.moments
    if table.data.forecast.on:
        raise UserError(
            f"{table.path}: folds.by = {name!r} must have a role in [data] where windows are cut from series: leave it "
            "out, and they lie by data.order."
        )
    assert table.source is not None, "a table that was read knows its files"
    there = table.source.columns()
    if name not in there:
        raise unknown("column", name, there, f"{table.path} lacks the column of folds.by")
    if table.cut:  # windows: rows of the file may be in several, or in none
        assert table.file_rows is not None, "a table that was cut knows its rows"
        return table.source.read({name: readers.TIME}).frame[name].gather(table.file_rows)
    key = table.data.key
    frame = table.source.read({key: None, name: readers.TIME}).frame
    # Rows of a series stand together in a table, perhaps not in its file; inside it their order means nothing here.
    order = pl.DataFrame({"key": identity.texts(table.keys), "place": np.arange(len(table.lengths))})
    rows = pl.DataFrame({"key": identity.texts(frame[key]), "time": frame[name]})
    placed = rows.join(order, on="key", how="left", maintain_order="left")
    return placed.sort("place", maintain_order=True)["time"].alias(name)


def _times(column: pl.Series, by: str, table: Table) -> pl.Series:
    """Return whole numbers, numbers or times of a column."""
    found = _parsed(column) if column.dtype == pl.String else column
    if isinstance(found.dtype, pl.Datetime) and found.dtype.time_zone:
        found = found.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if found.dtype in (pl.Date, pl.Datetime):
        found = found.cast(pl.Datetime("us"))
    elif found.dtype.is_numeric():
        whole = found.cast(pl.Int64, strict=False) if found.dtype.is_integer() else None
        # whole numbers of 2^63 and more are taken as a text file's are: to the digits that a float64 has
        found = whole if whole is not None and whole.null_count() == found.null_count() else found.cast(pl.Float64)
        if found.dtype == pl.Float64:
            found = found.fill_nan(None)
    missing = found.is_null() | (found.is_infinite() if found.dtype == pl.Float64 else False)
    if not missing.any():
        return found
    place = int(missing.arg_true()[0])
    shown = "nothing" if column[place] is None else repr(column[place])
    series = int(np.searchsorted(np.cumsum(table.rows_in_file), place, side="right"))
    raise UserError(
        f"{table.path}: folds.by = {by!r} must hold numbers, or dates such as 2024-01-31, in every row, but holds "
        f"{shown} in {table.data.key} {table.keys[series]}. Fill it in, or name another column."
    )


def _parsed(texts: pl.Series) -> pl.Series:
    """Take texts as the first of whole numbers, numbers, dates and times that all of them are; else null."""
    stripped, known = times.dashed(texts.str.strip_chars()), texts.null_count()
    found = stripped
    for pattern in ("whole", "number", *DATES):
        tried = _as(pattern, stripped)
        if tried.null_count() == known:
            return tried
        found = tried if found is stripped or tried.null_count() < found.null_count() else found
    return found


def _as(pattern: str, texts: pl.Series) -> pl.Series:
    """Return texts as numbers or times, null where one is none. pattern: "whole", "number", or one of DATES."""
    if pattern in ("whole", "number"):
        return texts.cast(pl.Int64 if pattern == "whole" else pl.Float64, strict=False)
    zone = "UTC" if pattern.endswith("z") else None
    return texts.str.to_datetime(pattern, strict=False, time_unit="us", time_zone=zone)
