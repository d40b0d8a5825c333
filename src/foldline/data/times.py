"""Dates and times as the order of a series: seconds since the series' first row, as float64.

A date in text is 2017-03-01 or 2017/03/01, a time 2017-03-01 12:30, with seconds and their parts, and with Z or +02:00
at its end where it has a zone; zones are turned into moments, so that an hour that a clock repeats is two hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from foldline.data import on_disk

ISO = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}.*)?$"  # year first: 01/02/2017 is another day in another country
SLASHES = r"^(\d{4})/(\d{2})/(\d{2})"
EXACT = 1 << 53  # whole numbers above may be none as float64
MOST = (1 << 63) - 1  # of int64
YEARS = ("1678", "2261")  # whole years that nanoseconds of int64 hold
PER_SECOND = {"ms": 1e3, "us": 1e6, "ns": 1e9}


@dataclass(frozen=True)
class Clock:
    """What the order of a table's files is: numbers, unless one of these says otherwise."""

    since_start: bool  # it counts from the start of each series: dates do, and long whole numbers
    of_dates: bool  # dates or times

    @property
    def in_words(self) -> str:
        """Say what the order holds."""
        return "dates or times" if self.of_dates else "whole numbers above 2^53" if self.since_start else "numbers"


class NotATime(ValueError):
    """Text that is no date or time: what there must be, and what there is."""


def are_dates(texts: pl.Series) -> bool:
    """Return whether the cells of an order look like dates, where any is filled.

    Raises:
        NotATime: some do, and some are numbers.
    """
    filled = texts.str.strip_chars()
    filled = filled.set(filled == "", None)
    dated = dashed(filled).str.contains(ISO)
    numbers = filled.cast(pl.Float64, strict=False).is_not_null()
    if not (dated.any() and numbers.any()):
        return bool(dated.any())
    one, other = (int(found.fill_null(False).arg_true()[0]) for found in (dated, numbers))
    raise NotATime(
        f"dates and times in all rows, or numbers in all, but row {one + 1} holds {texts[one]!r} and row {other + 1} "
        f"{texts[other]!r}"
    )


def parsed(column: pl.Series) -> pl.Series:
    """Return texts as Datetime of nanoseconds; null where one is missing.

    Raises:
        NotATime: one is no date as above, or of another year than nanoseconds hold, or only some have a zone.
    """
    texts = dashed(column.str.strip_chars())
    texts = texts.set(texts == "", None) if (texts == "").any() else texts
    found = texts.str.to_datetime(time_unit="ns", strict=False)
    odd = texts.is_not_null() & (found.is_null() | ~texts.str.contains(ISO).fill_null(True))
    first, last = (pl.lit(year) for year in YEARS)
    odd |= ~texts.str.slice(0, 4).is_between(first, last).fill_null(True)  # polars wraps around there
    if odd.any():
        row = int(odd.arg_true()[0])
        raise NotATime(
            f"dates and times like 2017-03-01 12:30:00, of the years {YEARS[0]} to {YEARS[1]}, all with a zone "
            f"(+02:00) or all without, but row {row + 1} holds {column[row]!r}"
        )
    return found


def dashed(texts: pl.Series) -> pl.Series:
    """Return texts with 2017-03-01 for 2017/03/01."""
    return texts.str.replace(SLASHES, "${1}-${2}-${3}") if texts.str.contains("/", literal=True).any() else texts


def of_temporal(column: pl.Series) -> pl.Series:
    """Return dates and times of any type as Datetime, durations and times of a day as Float64 seconds."""
    if isinstance(column.dtype, pl.Datetime):
        return column
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us"))
    if column.dtype == pl.Duration:
        return _seconds(column.dt.total_nanoseconds(), PER_SECOND["ns"])
    return _seconds(column.cast(pl.Int64), PER_SECOND["ns"])  # since midnight


def _seconds(counts: pl.Series, per_second: float) -> pl.Series:
    """Divide whole numbers of some unit, so that whole seconds come out whole: polars multiplies by the reciprocal."""
    seconds = pl.Series(counts.name, counts.cast(pl.Float64).fill_null(0.0).to_numpy() / per_second)
    return seconds.set(counts.is_null(), None) if counts.null_count() else seconds


def printed(column: pl.Series) -> pl.Series:
    """Return dates and times as text, as ids name them: 2017-03-01, with the time of day where any has one.

    Parts of a second stand in what has some: two that differ by them have two names.
    """
    if not isinstance(column.dtype, pl.Datetime):
        return column
    whole_days = bool((column == column.dt.truncate("1d")).all())
    return column.dt.strftime("%Y-%m-%d" if whole_days else "%Y-%m-%d %H:%M:%S%.f")


def is_exact(column: pl.Series) -> bool:
    """Return whether whole numbers of any type are the same as float64."""
    least, most = column.min(), column.max()
    return least is None or max(abs(int(least)), abs(int(most))) <= EXACT  # type: ignore[arg-type]


def whole(column: pl.Series) -> pl.Series:
    """Return whole numbers of any type as Int64.

    Raises:
        NotATime: one is too large for it.
    """
    most = int(column.max() or 0)  # type: ignore[arg-type]
    if most > MOST:
        raise NotATime(f"numbers below 2^63, but holds {most}")
    return column.cast(pl.Int64)


def long_numbers(texts: pl.Series) -> pl.Series | None:
    """Return texts as Int64 where all are whole numbers of which float64 does not hold some, else None."""
    found = texts.str.strip_chars().cast(pl.Int64, strict=False)
    return None if found.null_count() > texts.null_count() or is_exact(found) else found


def of_one_type(columns: Sequence[pl.Series]) -> list[pl.Series]:
    """Return orders or times of several files with one type: the finest unit of times, Int64 of whole numbers.

    Raises:
        NotATime: they are no numbers in all files, no times in all files, or only some have a zone.
    """
    if all(isinstance(column.dtype, pl.Date | pl.Datetime) for column in columns):
        moments = [of_temporal(column) for column in columns]
        if len({column.dtype.time_zone for column in moments}) == 1:  # type: ignore[attr-defined]
            finest = max((column.dtype.time_unit for column in moments), key=PER_SECOND.__getitem__)  # type: ignore[attr-defined]
            return [column.dt.cast_time_unit(finest) for column in moments]
    if all(column.dtype.is_numeric() for column in columns):
        floats = [column for column in columns if column.dtype.is_float()]
        if all(((column.round() == column) & (column.abs() <= EXACT)).all() for column in floats):
            return [whole(column) for column in columns]
        return [column.cast(pl.Float64) for column in columns]
    kinds = sorted({str(column.dtype) for column in columns})
    raise NotATime(f"numbers, or times, of one kind in all files, but holds {' and '.join(kinds)}")


def since_start(frame: pl.DataFrame, order: str, key: str, numbers: bool = False) -> pl.DataFrame:
    """Return a frame whose order column counts from the first row of its series, as Float64.

    Dates and times become seconds; whole numbers that float64 can't hold keep their unit. Other numbers stay.

    numbers: whether those count from there, too.
    """
    kind = frame[order].dtype
    if kind == pl.Float64:
        return frame.with_columns(pl.col(order) - pl.col(order).min().over(key)) if numbers else frame
    whole = pl.col(order).cast(pl.Int64)
    per_second = PER_SECOND[kind.time_unit or "us"] if isinstance(kind, pl.Datetime) else 1.0
    counts = frame.select(whole - whole.min().over(key)).to_series()
    return frame.with_columns(on_disk.kept(_seconds(counts, per_second)))
