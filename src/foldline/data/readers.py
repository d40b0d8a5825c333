"""Files in, frames out: CSV and Parquet, plain, gzipped, zipped, or inside one competition archive.

Only columns with a role are read: numbers as float64, names (ids, keys) in their normal form (identity.py), other text
as it is printed, so that 007 stays 007. A file that is broken in any way is refused with one sentence.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import BinaryIO

import polars as pl

from foldline.core.errors import UserError, shortened, unknown
from foldline.data import identity, parquet_checksums, row_lengths
from foldline.data.packed_files import content, guarded, members, reason

ENDINGS = (".parquet", ".csv", ".csv.gz", ".csv.zip")

OTHER_SEPARATORS = (";", "\t", "|")

TIME = pl.Datetime("us")  # wanted of a column of numbers, dates or texts, which is read as it is

Wanted = dict[str, pl.DataType | type[pl.DataType] | None]  # column -> dtype; None: see `read`


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
    names = _names_in(source)
    for ending in ENDINGS:
        if stem + ending in names:
            return source / (stem + ending)
    return None


def _names_in(source: Path) -> list[str]:
    """List the files in a folder or zip archive."""
    if source.is_file():
        return members(source)
    with guarded(source, rule="can't be listed", way_out="Name another data.source."):
        return [entry.name for entry in source.iterdir()]


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
            f"it holds {shortened(sorted(_names_in(source)))}."
            + (f' Files of other names are named by {key}, such as "{stem}/*.csv".' if key else "")
        )
    return path


def read(path: Path, wanted: Wanted, may_be_empty: bool = False) -> pl.DataFrame:
    """Read the wanted columns of a table.

    Args:
        path: a file, or ARCHIVE/MEMBER.
        wanted: column -> Float64 for numbers, String for text as it is printed, TIME for either or dates, or None for
            names of series and rows, which come in their normal form (identity.py). Flags and categories of Parquet
            are text.
        may_be_empty: whether it may have no rows: one file of many.

    Raises:
        UserError: the file is not there, empty or damaged, a column is missing or there twice, or a value is not of its
            type.
    """
    found = content(path)
    frame = _parquet(path, found, wanted) if _is_parquet(path) else _csv(path, found, wanted)
    if frame.height == 0 and not may_be_empty:
        raise UserError(f"{path} has a header but no rows.")
    return frame


def columns(path: Path) -> list[str]:
    """Return the names of a table's columns, in the file's order.

    Raises:
        UserError: it is not there, or damaged, or has two columns of one name.
    """
    found = content(path)
    return list(_schema(path, found)) if _is_parquet(path) else _header(path, found)


def look(path: Path) -> pl.DataFrame:
    """Read all columns of a table, of the types that the file has or its texts suggest: to look at, not to train on.

    Raises:
        UserError: it is not there, or damaged, or has two columns of one name.
    """
    names, found = columns(path), content(path)
    with guarded(path, rule="is no readable table", way_out=_MEND):
        if _is_parquet(path):
            return pl.read_parquet(found, glob=False, hive_partitioning=False)
        frame = pl.read_csv(found, infer_schema_length=None, try_parse_dates=True, glob=False)
    frame.columns = names
    return frame


def _is_parquet(path: Path) -> bool:
    return ".parquet" in path.suffixes


def _require(path: Path, present: list[str], wanted: Wanted) -> None:
    for name in wanted:
        if name not in present:
            raise unknown("column", name, present, f"{path} lacks a column that [data] names")


def _schema(path: Path, found: Path | bytes) -> dict[str, pl.DataType]:
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


def _parquet(path: Path, found: Path | bytes, wanted: Wanted) -> pl.DataFrame:
    schema = _schema(path, found)
    _require(path, list(schema), wanted)
    types = {name: _type_of(path, name, schema[name], kind) for name, kind in wanted.items()}
    with guarded(path, rule="is no readable Parquet file", way_out="Write or download it again."):
        places = [list(schema).index(name) for name in wanted]  # by place: polars takes ^x$ and * for patterns
        frame = pl.read_parquet(found, columns=places, glob=False, hive_partitioning=False)
        parquet_checksums.check(found, places)
    return _cast(path, frame, types, wanted)


def typed(path: Path, frame: pl.LazyFrame, wanted: Wanted) -> pl.DataFrame:
    """Collect the wanted columns of a frame that did not come from a file of ours, with the types that `read` gives.

    path: for messages.

    Raises:
        UserError: a column is missing, or a value is not of its type.
    """
    schema = frame.collect_schema()
    _require(path, list(schema), wanted)
    types = {name: _type_of(path, name, schema[name], kind) for name, kind in wanted.items()}
    return _cast(path, frame.select(list(wanted)).collect(), types, wanted)


def _cast(
    path: Path, frame: pl.DataFrame, types: dict[str, pl.DataType | type[pl.DataType]], wanted: Wanted
) -> pl.DataFrame:
    try:
        cast = [frame[name].cast(kind) for name, kind in types.items()]
    except pl.exceptions.InvalidOperationError as error:
        raise UserError(f"{path}: a numeric column holds something else ({reason(error)}).") from error
    return pl.DataFrame([identity.normal(column) if wanted[column.name] is None else column for column in cast])


def _type_of(
    path: Path, name: str, kind: pl.DataType, wanted: pl.DataType | type[pl.DataType] | None
) -> pl.DataType | type[pl.DataType]:
    """Return the type to cast a Parquet column to; a date or a duration is no number, whatever it is stored as."""
    if wanted == pl.Float64:
        if not (kind.is_numeric() or kind in (pl.Boolean, pl.String, pl.Null)):
            raise UserError(
                f"{path}: column {name!r} must hold numbers, but holds {kind}. Write what it stands for as a "
                "number, a time for instance as the seconds since its series began."
            )
        return pl.Float64
    if wanted == TIME and (kind.is_numeric() or isinstance(kind, pl.Date | pl.Datetime)):
        return kind
    if not (kind.is_integer() or kind.is_float() or kind in (pl.String, pl.Boolean, pl.Categorical, pl.Enum)):
        raise UserError(f"{path}: column {name!r} must hold text or numbers, but holds {kind}. Write it as text.")
    return kind if wanted is None and kind.is_numeric() else pl.String


def _csv(path: Path, found: Path | bytes, wanted: Wanted) -> pl.DataFrame:
    header = _header(path, found)
    _refuse_other_separators(path, header)
    _require(path, header, wanted)
    places = {header.index(name): name for name in header if name in wanted}
    raw = _raw_header(path, found)
    texts = (None, TIME)
    kinds = {raw[place]: pl.String() if (kind := wanted[name]) in texts else kind for place, name in places.items()}
    try:
        with guarded(path, rule="is no readable CSV", way_out=_MEND):
            # By place: patterns again, and polars leaves doubled quotes in names.
            frame = pl.read_csv(found, columns=list(places), schema_overrides=kinds, glob=False)
    except UserError as error:
        if not isinstance(error.__cause__, pl.exceptions.ComputeError):
            raise
        raise _bad_cell(path, found, places, wanted, error) from error.__cause__
    with guarded(path, rule="is no readable CSV", way_out=_MEND), _opened(found) as stream:
        row_lengths.check(path, stream, len(header), frame.height)
    frame.columns = list(places.values())
    named = [frame[name] for name in wanted]
    return pl.DataFrame([identity.normal(column) if wanted[column.name] is None else column for column in named])


_MEND = "Check it for a broken line, and save it as UTF-8."


def _raw_header(path: Path, found: Path | bytes) -> list[str]:
    """Return polars' names of the columns: a second `x` is x_duplicated_0, and doubled quotes stay doubled."""
    with guarded(path, rule="is no readable CSV", way_out=_MEND):
        return pl.read_csv(found, n_rows=0, infer_schema=False, glob=False).columns


def _header(path: Path, found: Path | bytes) -> list[str]:
    """Return the columns' names as they are meant.

    Raises:
        UserError: two have one name.
    """
    raw = _raw_header(path, found)
    with guarded(path, rule="is no readable CSV", way_out=_MEND), _opened(found) as stream:
        # The name of a column that nobody uses need not be UTF-8.
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="backslashreplace", newline="")
        header = next((row for row in csv.reader(text) if row), [])
    if len(header) != len(raw):
        raise UserError(f"{path} is no readable CSV (its header breaks off). {_MEND}")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise UserError(
            f"{path} has more than one column called {shortened([repr(name) for name in twice])}. "
            "Rename all but one of them."
        )
    return header


def _opened(found: Path | bytes) -> BinaryIO:
    return io.BytesIO(found) if isinstance(found, bytes) else found.open("rb")


def _refuse_other_separators(path: Path, header: list[str]) -> None:
    """Refuse a header that is one column to a comma, but several to another separator."""
    found = next((sign for sign in OTHER_SEPARATORS if len(header) == 1 and sign in header[0]), None)
    if found:
        raise UserError(
            f"{path} seems to be separated by {found!r}, but columns must be separated by ','. Write it again, for "
            f"instance by polars: `pl.read_csv(FILE, separator={found!r}).write_csv(FILE)`, with decimal_comma=True "
            "where numbers are written 1,5."
        )


def _bad_cell(path: Path, found: Path | bytes, places: dict[int, str], wanted: Wanted, cause: UserError) -> UserError:
    """Find the first value that is not of its type, in a file that polars refused: read it again as text.

    places: of the wanted columns in the file.
    """
    try:
        text = pl.read_csv(found, columns=list(places), infer_schema=False, glob=False)
    except pl.exceptions.PolarsError:
        return cause
    text.columns = list(places.values())
    for name, kind in wanted.items():
        parsed = text[name].str.strip_chars().cast(kind or pl.String(), strict=False)
        wrong = text[name].is_not_null() & parsed.is_null()
        if wrong.any():
            row = int(wrong.arg_true()[0])
            value = text[name][row]
            return UserError(
                f"{path}, line {row + 2}: column {name!r} must hold numbers, but holds {value!r}. Write a number there."
            )
    return cause
