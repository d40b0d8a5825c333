"""Parquet files: their columns as they are stored, each of a type that its use allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data import parquet_checksums, times
from foldline.data.on_disk import Gathered
from foldline.data.packed_files import guarded, reason
from foldline.data.wanted_columns import ORDER, TIME, Kind, Wanted, is_number, require

ROWS = 1 << 19  # a file of more is read part by part


def schema(path: Path, found: Path | bytes) -> dict[str, pl.DataType]:
    """Return the columns of a Parquet file and their types."""
    try:
        with guarded(path, rule="is no readable Parquet file", way_out="Write or download it again."):
            # glob=False: a path may hold [ or *. read_parquet_schema has no such switch.
            return dict(pl.scan_parquet(found, glob=False, hive_partitioning=False).collect_schema())
    except UserError as error:
        if isinstance(error.__cause__, pl.exceptions.DuplicateError):
            raise UserError(
                f"{path} has two columns of one name ({reason(error.__cause__)}). Rename one of them."
            ) from error.__cause__
        raise


def read(path: Path, found: Path | bytes, wanted: Wanted) -> pl.DataFrame:
    """Read the wanted columns: numbers as Float64, names as they are, else as text; an order also as Datetime.

    path: for messages. found: the file, or its bytes.

    Raises:
        UserError: the file is broken, lacks a column, or one is of a type that its use does not allow.
    """
    types_there = schema(path, found)
    require(path, list(types_there), wanted)
    types = {name: _type_of(path, name, types_there[name], kind) for name, kind in wanted.items()}
    with guarded(path, rule="is no readable Parquet file", way_out="Write or download it again."):
        places = [list(types_there).index(name) for name in wanted]  # by place: polars takes ^x$ and * for patterns
        columns, missing = [Gathered() for _ in places], np.zeros(len(places), dtype=np.int64)
        for frame in _parts(found, places):
            missing += [frame[name].null_count() for name in wanted]
            for column, part in zip(columns, _cast(path, frame, types), strict=True):
                column.add(part)
        parquet_checksums.check(found, places, missing.tolist())
    return pl.DataFrame([pl.concat(column.parts()) for column in columns])


def _parts(found: Path | bytes, places: list[int]) -> Iterator[pl.DataFrame]:
    """Read columns of a file whole, or a large one part by part; one part at least."""
    scan = pl.scan_parquet(found, glob=False, hive_partitioning=False)
    if scan.select(pl.len()).collect().item() <= ROWS or not hasattr(scan, "collect_batches"):  # polars before 1.34
        yield pl.read_parquet(found, columns=places, glob=False, hive_partitioning=False)
    else:
        yield from scan.select(pl.nth(places)).collect_batches(maintain_order=True)


def collected(path: Path, frame: pl.LazyFrame, wanted: Wanted) -> pl.DataFrame:
    """Collect the wanted columns of a frame, as `read` does of a file. path: for messages.

    Raises:
        UserError: it lacks a column, or one is of a type that its use does not allow.
    """
    there = frame.collect_schema()
    require(path, list(there), wanted)
    types = {name: _type_of(path, name, there[name], kind) for name, kind in wanted.items()}
    return _cast(path, frame.select(list(wanted)).collect(), types)


def _cast(path: Path, frame: pl.DataFrame, types: dict[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame:
    try:
        return pl.DataFrame([_cast_column(frame[name], kind) for name, kind in types.items()])
    except pl.exceptions.InvalidOperationError as error:
        raise UserError(f"{path}: a column holds something else than its type says ({reason(error)}).") from error


def _type_of(path: Path, name: str, kind: pl.DataType, wanted: Kind) -> pl.DataType | type[pl.DataType]:
    """Return the type to cast a Parquet column to: a number, text, or of the order a time.

    A date or a duration is no number, whatever it is stored as.
    """
    texts = kind in (pl.String, pl.Categorical, pl.Enum)
    if wanted == TIME and (kind.is_numeric() or isinstance(kind, pl.Date | pl.Datetime)):
        return kind
    if wanted == ORDER and kind.is_temporal():
        return ORDER
    if is_number(wanted):
        if not (kind.is_numeric() or texts or kind in (pl.Boolean, pl.Null)):
            raise UserError(
                f"{path}: column {name!r} must hold numbers, but holds {kind}. Write what it stands for as a "
                "number, a time for instance as the seconds since its series began."
            )
        whole = wanted == ORDER and kind.is_integer()
        return kind if whole else pl.String if texts else pl.Float64
    if wanted is None and isinstance(kind, pl.Date | pl.Datetime):
        return pl.String
    if not (kind.is_numeric() or texts or kind in (pl.Boolean, pl.Null)):
        raise UserError(f"{path}: column {name!r} must hold text or numbers, but holds {kind}. Write it as text.")
    return kind if wanted is None and kind.is_numeric() else pl.String


def _cast_column(column: pl.Series, kind: pl.DataType | type[pl.DataType]) -> pl.Series:
    if column.dtype.is_temporal():
        if kind == pl.String:
            return times.printed(times.of_temporal(column))  # as a CSV file has it
        return times.of_temporal(column) if kind == ORDER else column
    if not column.dtype.is_decimal():
        return column.cast(kind)
    # A decimal of two places prints 1.10, but it is the number 1.1. As a name it has more digits than float64 holds.
    if kind == column.dtype:
        return column.cast(pl.String).str.replace(r"(\.\d*?)0+$", "${1}").str.strip_suffix(".")
    return column.cast(pl.Float64).cast(kind)
