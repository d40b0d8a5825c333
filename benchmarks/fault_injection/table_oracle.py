"""What a table holds, by readers that foldline does not use: Python's csv and float, and pyarrow.

`expected` says what foldline must have if it accepts the three tables: values bit by bit, every row, in its order. It
raises Refused where they can't mean anything, or break a rule that docs/how-to/own-competition.md states.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import struct
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from foldline.data.roles import DataConfig

ORDER = "second"  # the only column that may hold times
NAMES = ("row", "ride")  # columns that name rows and series: dates may
FLAGS = {"true": 1.0, "True": 1.0, "TRUE": 1.0, "false": 0.0, "False": 0.0, "FALSE": 0.0}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Columns = dict[str, list[Any]]  # role -> a value a row, in the file's order


class Refused(Exception):
    """There is no right reading of it."""


def of_csv(path: Path, wanted: list[str], numbered: str = "") -> Columns:
    """Read the wanted columns of a CSV file, plain or packed, as texts.

    numbered: one of them that may be absent, and holds the numbers of the rows then: ids of a training table.
    """
    text = _unpacked(path).decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise Refused(str(error)) from error
    if len(rows) < 2:
        raise Refused("no rows")
    header, body = rows[0], rows[1:]
    if numbered and numbered not in header:
        header, body = [*header, numbered], [[*row, str(place)] for place, row in enumerate(body)]
    if any(header.count(name) != 1 for name in wanted):
        raise Refused("a column is not there once")
    places = [header.index(name) for name in wanted]
    if any(len(row) != len(header) for row in body):
        raise Refused("a row of another length")
    return {name: [row[place] for row in body] for name, place in zip(wanted, places, strict=True)}


def _unpacked(path: Path) -> bytes:
    raw = path.read_bytes()
    try:
        if path.suffix == ".gz":
            return gzip.decompress(raw)
        if path.suffix == ".zip":
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                (name,) = archive.namelist()
                return archive.read(name)
    except Exception as error:
        raise Refused(str(error)) from error
    return raw


def of_parquet(path: Path, wanted: list[str], numbered: str = "") -> Columns:
    """Read the wanted columns of a Parquet file by pyarrow, as Python's values. numbered: as `of_csv` has it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        names = file.schema_arrow.names
        lacks = bool(numbered) and numbered not in names
        wanted = [name for name in wanted if not (lacks and name == numbered)]
        if any(names.count(name) != 1 for name in wanted):
            raise Refused("a column is not there once")
        table = file.read(columns=wanted)  # damage in a column that nobody reads changes nothing
        table.validate(full=True)
        found = {name: table.column(name) for name in wanted}
        times = [name for name, column in found.items() if name != ORDER and pa.types.is_temporal(column.type)]
        moments = [name for name in times if name in NAMES and pa.types.is_timestamp(found[name].type)]
        if odd := sorted(set(times) - set(moments)):
            raise Refused(f"times in {odd}")
        values = {name: column.to_pylist() for name, column in found.items()}
        values |= {name: printed(values[name]) for name in moments}
        return values | ({numbered: list(range(len(table)))} if lacks else {})
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"{type(error).__name__}: {error}") from error


def printed(moments: list[Any]) -> list[Any]:
    """Write moments as names: days alone where all are whole days; parts of a second where a moment has some."""
    there = [each for each in moments if each is not None]
    days = all(each.time() == time(0) for each in there)
    return [None if each is None else f"{each:%Y-%m-%d}" if days else _with_parts(each) for each in moments]


def _with_parts(moment: datetime) -> str:
    """Write a moment to the second, or to as many thousandths and millionths as it needs."""
    spec = "seconds" if not moment.microsecond else "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.replace(tzinfo=None).isoformat(" ", spec)


def parquet_answer(given: tuple[Path, list[str], str]) -> Columns | str:
    """Return what `of_parquet` does, or why it refuses: in a child, because a damaged file may end pyarrow."""
    try:
        return of_parquet(*given)
    except Refused as error:
        return str(error)


def missing(value: Any) -> bool:
    """Return whether a value is none: an empty cell, or nan."""
    if isinstance(value, str):
        return value.strip() in ("", "nan", "NaN")
    return value is None or value != value


def number(value: Any) -> float:
    """Return a value as a finite number; a flag is 1 or 0."""
    try:
        found = FLAGS[value.strip()] if isinstance(value, str) and value.strip() in FLAGS else float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(f"{value!r} is no number") from error
    if not math.isfinite(found):
        raise Refused(f"{value!r} is not finite")
    return found


def seconds(value: Any) -> float:
    """Return a number, or the seconds that a date or a time stands for."""
    text = value.strip() if isinstance(value, str) else ""
    if re.match(r"\d{4}-\d{2}-\d{2}", text):
        try:
            value = datetime.fromisoformat(text)
        except ValueError as error:
            raise Refused(f"{text!r} is no date") from error
    if isinstance(value, datetime):
        return ((value if value.tzinfo else value.replace(tzinfo=UTC)) - EPOCH).total_seconds()
    if isinstance(value, date):
        return (datetime(value.year, value.month, value.day, tzinfo=UTC) - EPOCH).total_seconds()
    if isinstance(value, time):
        return timedelta(hours=value.hour, minutes=value.minute, seconds=value.second).total_seconds() + (
            value.microsecond / 1e6
        )
    return value.total_seconds() if isinstance(value, timedelta) else number(value)


def is_time(value: Any) -> bool:
    """Return whether a value is a date or a moment, which counts from the start of its series."""
    return isinstance(value, date) or (isinstance(value, str) and re.match(r"\s*\d{4}-\d{2}-\d{2}", value) is not None)


def name(value: Any) -> str:
    """Return a name of a row or a series in its one form: spaces around it and .0 behind a whole number are nothing."""
    if isinstance(value, float):
        value = number(value)
        value = str(int(value)) if value.is_integer() and -(2**63) <= value < 2**63 else repr(value)
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    text = text.strip()
    if value is None or not text:
        raise Refused("a name is missing")
    return text.split(".")[0] if re.fullmatch(r"(0|-?[1-9][0-9]*)\.0+", text) else text


def bits(values: list[float]) -> bytes:
    """Return the bits of numbers."""
    return struct.pack(f"{len(values)}d", *values)


def in_series(columns: Columns, key: str) -> list[int]:
    """Return the rows' places with each series' rows together, series in the order in which they first come."""
    first: dict[str, list[int]] = {}
    for row, value in enumerate(columns[key]):
        first.setdefault(name(value), []).append(row)
    return [row for rows in first.values() for row in rows]


def difference(found: dict[str, Any], table: Columns, data: DataConfig, labelled: bool) -> str:
    """Say how a table that foldline has read differs from what it holds; empty where it does not.

    Raises:
        Refused: it should not have been read.
    """
    places = in_series(table, data.key)
    if found["file_rows"] not in (None, places) or (found["file_rows"] is None and places != sorted(places)):
        return f"rows come from {found['file_rows']}, not from {places}"
    for column in (data.id, data.key):
        expected = [name(table[column][row]) for row in places]
        if (got := [str(value) for value in found[column]]) != expected:
            return _first(column, got, expected)
    if len({name(value) for value in table[data.id]}) < len(places):
        raise Refused("two rows of one id")
    scored = [value == 0.0 for value in found["coasting"]]
    if text := _of_order(found[data.order], [table[data.order][row] for row in places], found[data.key]):
        return text
    for column in data.inputs:
        held = [table[column][row] for row in places]
        wanted = [math.nan if missing(value) else number(value) for value in held]
        if text := _of_numbers(column, [math.nan if value != value else value for value in found[column]], wanted):
            return text
    for column in data.target if labelled else ():
        truth = [_truth(table[column][row], is_scored) for row, is_scored in zip(places, scored, strict=True)]
        given = [math.nan if value is None else value for value in found[column]]
        if text := _of_numbers(column, given, truth):
            return text
    for column in data.static:
        if text := _of_static(column, found[column], [table[column][row] for row in places], labelled):
            return text
    _refuse_bad_series(found, data)
    return "" if found["scored"] == scored else _first("scored", found["scored"], scored)


def _of_order(got: list[float], held: list[Any], keys: list[Any]) -> str:
    """Compare the order: numbers bit by bit, times in seconds since the start of their series."""
    values = [seconds(value) for value in held]
    if not held or not is_time(held[0]):
        return _of_numbers(ORDER, got, values)
    least = {key: min(value for value, of in zip(values, keys, strict=True) if of == key) for key in set(keys)}
    expected = [value - least[key] for value, key in zip(values, keys, strict=True)]
    near = all(abs(one - other) < 1e-5 for one, other in zip(got, expected, strict=True))
    return "" if near else _first(ORDER, got, expected)


def _truth(value: Any, scored: bool) -> float:
    """Return a target's value; one that nothing is scored by may be missing, and is NaN then."""
    return math.nan if missing(value) and not scored else number(value)


def _of_numbers(column: str, got: list[float], held: list[float]) -> str:
    """Compare two columns of numbers, bit by bit."""
    return "" if len(got) == len(held) and bits(got) == bits(held) else _first(column, got, held)


def _of_static(column: str, got: list[Any], held: list[Any], labelled: bool) -> str:
    """Compare a static column: numbers or texts, and as many different values as the file prints."""
    lacks = [missing(value) for value in held]
    if [value is None for value in got] != lacks:
        return _first(column, got, held)
    got = [value for value, lacking in zip(got, lacks, strict=True) if not lacking]
    held = [value for value, lacking in zip(held, lacks, strict=True) if not lacking]
    if not held and labelled:
        raise Refused("a static column is empty in the training table")
    if not held:
        return ""
    texts = [("true" if value else "false") if isinstance(value, bool) else str(value) for value in held]
    if isinstance(got[0], str):
        return "" if got == texts else _first(column, got, texts)
    numbers = [number(value) for value in held]
    if [float(value) for value in got] != numbers or (
        all(isinstance(value, str) for value in held) and len(set(got)) != len({name(text) for text in texts})
    ):
        return _first(column, got, texts)
    return ""


def _refuse_bad_series(found: dict[str, Any], data: DataConfig) -> None:
    for row in range(1, len(found[data.key])):
        if found[data.key][row] == found[data.key][row - 1]:
            if not found[data.order][row] > found[data.order][row - 1]:
                raise Refused("time does not increase")
            if any(found[column][row] != found[column][row - 1] for column in data.static):
                raise Refused("a static column changes")


def _first(column: str, got: list[Any], expected: list[Any]) -> str:
    pairs = list(zip(got, expected, strict=False))
    row = next((row for row, (one, other) in enumerate(pairs) if repr(one) != repr(other)), len(pairs))
    shown = [repr(values[row]) if row < len(values) else "nothing" for values in (got, expected)]
    return f"{column}, row {row} of {len(expected)}: {shown[0]}, but the file holds {shown[1]} ({len(got)} rows read)"
