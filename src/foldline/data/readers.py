"""Files in, frames out: CSV and Parquet, plain, gzipped, zipped, or inside one competition archive.

Only columns with a role are read: numbers as float64 (number_texts.py), the order as numbers or times (times.py), names
(ids, keys) in their normal form (identity.py), other text as it is printed, so that 007 stays 007. Both kinds of files
take and refuse the same values. A file that is broken in any way is refused with one sentence.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from foldline.core import unchanged
from foldline.core.errors import UserError, shortened
from foldline.data import csv_tables, identity, number_texts, on_disk, parquet_tables, times
from foldline.data.packed_files import at_hand, content, guarded, members
from foldline.data.wanted_columns import ORDER, TIME, Kind, Numbers, Wanted

__all__ = [
    "ENDINGS",
    "ORDER",
    "TIME",
    "Numbers",
    "Wanted",
    "columns",
    "converted",
    "find",
    "given",
    "locate",
    "look",
    "read",
    "typed",
]

ENDINGS = (".parquet", ".csv", ".csv.gz", ".csv.zip")


def find(source: Path, stem: str) -> Path | None:
    """Find the file of a table in a folder or zip archive; None: it is not there.

    Args:
        source: folder or archive. stem: the file's name without its ending.

    Returns:
        Its path; in an archive ARCHIVE/MEMBER, which `read` understands.

    Raises:
        UserError: the source is not there, or is no folder or zip archive.
    """
    if not source.exists() and not source.is_symlink():
        raise UserError(
            f"data.source: {source} does not exist{_start_of(source)}. Give a folder or zip with {stem}.csv in it."
        )
    names = names_in(source)
    for ending in ENDINGS:
        if stem + ending in names:
            return source / (stem + ending)
    return None


def names_in(source: Path) -> list[str]:
    """List the files and folders in a folder, or the files in a zip archive, by name."""
    if source.is_file():
        return sorted(members(source))
    with guarded(source, rule="can't be listed", way_out="Name another data.source."):
        return sorted(entry.name for entry in source.iterdir())


def _start_of(source: Path) -> str:
    """Say which folder a relative path starts at; empty for an absolute one."""
    if source.is_absolute():
        return ""
    return f" (looked for at {source.absolute()}: relative paths start at the folder that the command is called in)"


def locate(source: Path, stem: str, key: str = "") -> Path:
    """Find the file of a table, as `find` does. key: of [data] that can name other files, for messages.

    Raises:
        UserError: it is not there.
    """
    path = find(source, stem)
    if path is None:
        raise UserError(
            f"{source}: no {stem} with one of the endings {', '.join(ENDINGS)}; "
            f"it holds {shortened(names_in(source))}."
            + (f' Files of other names are named by {key}, such as "{stem}/*.csv".' if key else "")
        )
    return path


def read(path: Path, wanted: Wanted, may_be_empty: bool = False) -> pl.DataFrame:
    """Read the wanted columns of a table.

    Args:
        path: a file, or ARCHIVE/MEMBER.
        wanted: column -> Float64 for numbers (Numbers, where some stand for a missing one), ORDER for numbers or times,
            TIME for those or text, as it is, String for text as it is printed, or None for names of series and rows,
            which come in their normal form (identity.py). Flags and categories of Parquet are text, or the numbers 1
            and 0 where those are wanted.
        may_be_empty: whether it may have no rows: one file of many.

    Returns:
        The columns in the order of `wanted`; missing values are null. Those of ORDER are Float64, Datetime, or Int64
        where float64 does not hold them.

    Raises:
        UserError: the file is not there, empty or damaged, a column is missing or there twice, or a value is not of its
            type.
    """
    unchanged.reads(path)
    raw = _read_parquet(path, wanted) if _is_parquet(path) else csv_tables.read(path, wanted)
    if raw.height == 0 and not may_be_empty:
        raise UserError(f"{path} has a header but no rows.")
    return on_disk.kept_all(
        raw[name] if kind is None and not _is_parquet(path) else _typed(path, raw[name], kind)  # names of a CSV are
        for name, kind in wanted.items()
    )


def _read_parquet(path: Path, wanted: Wanted) -> pl.DataFrame:
    with at_hand(path) as found:
        return parquet_tables.read(path, found, wanted)


def typed(path: Path, frame: pl.LazyFrame, wanted: Wanted) -> pl.DataFrame:
    """Collect the wanted columns of a frame that did not come from a file of ours, with the types that `read` gives.

    path: for messages.

    Raises:
        UserError: a column is missing, or a value is not of its type.
    """
    raw = parquet_tables.collected(path, frame, wanted)
    return on_disk.kept_all(_typed(path, raw[name], kind) for name, kind in wanted.items())


def given(path: Path, frame: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    """Return columns of a frame in memory with the types that `read` gives; none is moved to the disk.

    path: for messages.

    Raises:
        UserError: a column is missing, or a value is not of its type.
    """
    raw = parquet_tables.collected(path, frame.lazy(), wanted)
    return pl.DataFrame([_typed(path, raw[name], kind) for name, kind in wanted.items()])


def _typed(path: Path, column: pl.Series, wanted: Kind) -> pl.Series:
    """Return a column of a file, text or not, as it is wanted."""
    name = column.name
    column = column.alias("column")  # many methods of a series take ^x$ and * for patterns
    try:
        return converted(column, wanted).alias(name)
    except number_texts.NotANumber as error:
        raise _no_number(path, name, error) from error
    except times.NotATime as error:
        raise UserError(f"{path}: column {name!r} must hold {error}.") from error


def converted(column: pl.Series, wanted: Kind) -> pl.Series:
    """Return a column of texts, or of what Parquet has, as it is wanted.

    Raises:
        NotANumber, NotATime: a value is none.
    """
    markers = wanted.markers if isinstance(wanted, Numbers) else ()
    if wanted is None:
        return identity.normal(column)
    if wanted in (pl.String, TIME) or column.dtype.is_temporal():
        return column
    if wanted == ORDER and column.dtype.is_integer() and not times.is_exact(column):
        return times.whole(column)
    if column.dtype != pl.String:
        return number_texts.without_markers(column.cast(pl.Float64), markers)
    if wanted == ORDER and times.are_dates(column):
        return times.parsed(column)
    if wanted == ORDER and (whole := times.long_numbers(column)) is not None:
        return whole
    return number_texts.parsed(column, markers)


def _no_number(path: Path, name: str, error: number_texts.NotANumber) -> UserError:
    where = f"row {error.row + 1}" if _is_parquet(path) else f"line {error.row + 2}"
    return UserError(
        f"{path}, {where}: column {name!r} must hold numbers, but holds {error.text!r}. Write a number there; of an "
        "input name the column in data.categorical, or the text in data.missing_values where it stands for nothing."
    )


def columns(path: Path) -> list[str]:
    """Return the names of a table's columns, in the file's order.

    Raises:
        UserError: it is not there, or damaged, or has two columns of one name.
    """
    return list(types(path)) if _is_parquet(path) else csv_tables.header(path)


def types(path: Path) -> dict[str, pl.DataType]:
    """Return the columns of a Parquet file and their types.

    Raises:
        UserError: as `columns`.
    """
    with at_hand(path) as found:
        return parquet_tables.schema(path, found)


def look(path: Path) -> pl.DataFrame:
    """Read all columns of a table, of the types that the file has or its texts suggest: to look at, not to train on.

    Raises:
        UserError: it is not there, or damaged, or has two columns of one name, or its header twice.
    """
    names, found = columns(path), content(path)
    with guarded(path, rule="is no readable table", way_out=csv_tables.MEND):
        if _is_parquet(path):
            return pl.read_parquet(found, glob=False, hive_partitioning=False)
        frame = pl.read_csv(found, infer_schema_length=None, try_parse_dates=True, glob=False)
    frame.columns = names
    csv_tables.refuse_second_header(path, frame)
    return frame


def _is_parquet(path: Path) -> bool:
    return ".parquet" in path.suffixes
