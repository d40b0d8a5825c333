"""Files in, frames out: CSV and Parquet, plain, gzipped, zipped, or inside one competition archive.

Only columns with a role are read: numbers as float64, names (ids, keys) as they are printed, so that 007 stays 007. A
file that is broken in any way is refused with one sentence.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from pathlib import Path

import polars as pl

from foldline.core.errors import UserError, shortened, unknown

ENDINGS = (".parquet", ".csv", ".csv.gz", ".csv.zip")
WHOLE = "^(0|-?[1-9][0-9]{0,17})$"  # a whole number that prints as it was written: 7 and -12, but not 007, +7 or 7.0

OTHER_SEPARATORS = (";", "\t", "|")

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
    if not source.exists():
        raise UserError(
            f"data.source: {source} does not exist{_start_of(source)}. Give a folder or zip with {stem}.csv in it."
        )
    names = _members(source) if source.is_file() else [entry.name for entry in source.iterdir()]
    for ending in ENDINGS:
        if stem + ending in names:
            return source / (stem + ending)
    return None


def _start_of(source: Path) -> str:
    """Say which folder a relative path starts at; empty for an absolute one."""
    if source.is_absolute():
        return ""
    return f" (looked for at {source.absolute()}: relative paths start at the folder that the command is called in)"


def locate(source: Path, stem: str) -> Path:
    """Find the file of a table, as `find` does.

    Raises:
        UserError: it is not there.
    """
    path = find(source, stem)
    if path is None:
        there = sorted(_members(source) if source.is_file() else [entry.name for entry in source.iterdir()])
        shown = ", ".join(there[:8]) + (" …" if len(there) > 8 else "") if there else "nothing"
        raise UserError(f"{source}: no {stem} with one of the endings {', '.join(ENDINGS)}; it holds {shown}.")
    return path


def read(path: Path, wanted: Wanted) -> pl.DataFrame:
    """Read the wanted columns of a table.

    Args:
        path: a file, or ARCHIVE/MEMBER.
        wanted: column -> dtype, or None for names. Those of a CSV become integers only if each prints as it is
            written, else text; those of Parquet keep the file's type, where flags and categories are text.

    Raises:
        UserError: the file is empty or damaged, a column is missing, or a value is not of its type.
    """
    if path.is_dir():
        raise UserError(f"{path} is a directory, but a file is needed. Remove it, or name another data.source.")
    content = _content(path)
    try:
        frame = _parquet(path, content, wanted) if ".parquet" in path.suffixes else _csv(path, content, wanted)
    except pl.exceptions.NoDataError as error:
        raise UserError(f"{path} is empty: it needs a header and rows.") from error
    if frame.height == 0:
        raise UserError(f"{path} has a header but no rows.")
    return frame


def columns(path: Path) -> list[str]:
    """Return the names of a table's columns, in the file's order.

    Raises:
        UserError: it is damaged.
    """
    content = _content(path)
    return list(pl.read_parquet_schema(content)) if ".parquet" in path.suffixes else _header(path, content)


def _members(archive: Path) -> list[str]:
    if archive.suffix != ".zip":
        raise UserError(
            f"data.source: {archive} is a file, but a folder or a .zip is needed. Name the folder it lies in."
        )
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.namelist()
    except zipfile.BadZipFile as error:
        raise UserError(f"{archive} is damaged or cut short ({error}). Download it again.") from error


def _content(path: Path) -> Path | bytes:
    """Return the path where polars can read it, else the unpacked bytes."""
    try:
        if path.parent.is_file():
            with zipfile.ZipFile(path.parent) as archive:
                packed = archive.read(path.name)
            return _unpack_member(path, packed)
        return _unpack_member(path, path.read_bytes()) if path.suffix in (".gz", ".zip") else path
    except (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is damaged or cut short ({error}). Download it again.") from error
    except RuntimeError as error:  # zipfile raises it for an encrypted member, and for an unknown compression
        raise UserError(f"{path} can't be unpacked ({error}). Unpack it by hand into a folder.") from error


def _unpack_member(path: Path, packed: bytes) -> bytes:
    if path.suffix == ".gz":
        return gzip.decompress(packed)
    if path.suffix != ".zip":
        return packed
    import io

    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        members = [name for name in archive.namelist() if not name.endswith("/")]
        if len(members) != 1:
            raise UserError(f"{path} must hold one file, but holds {len(members)}: {shortened(members)}.")
        return archive.read(members[0])


def _require(path: Path, present: list[str], wanted: Wanted) -> None:
    for name in wanted:
        if name not in present:
            raise unknown("column", name, present, f"{path} lacks a column that [data] names")


def _parquet(path: Path, content: Path | bytes, wanted: Wanted) -> pl.DataFrame:
    try:
        _require(path, list(pl.read_parquet_schema(content)), wanted)
        frame = pl.read_parquet(content, columns=list(wanted))
    except pl.exceptions.ComputeError as error:
        raise UserError(
            f"{path} is no readable Parquet file ({_first_line(error)}). Write or download it again."
        ) from error
    try:
        return frame.select(frame[name].cast(_type_of(path, frame[name], kind)) for name, kind in wanted.items())
    except pl.exceptions.InvalidOperationError as error:
        raise UserError(f"{path}: a numeric column holds something else ({_first_line(error)}).") from error


def _type_of(path: Path, column: pl.Series, wanted: pl.DataType | type[pl.DataType] | None) -> pl.DataType:
    """Return the type to cast a Parquet column to; a date or a duration is no number, whatever it is stored as."""
    if wanted is None:
        return _name_type(path, column)
    kind = column.dtype
    if wanted == pl.Float64 and not (kind.is_numeric() or kind in (pl.Boolean, pl.String, pl.Null)):
        raise UserError(
            f"{path}: column {column.name!r} must hold numbers, but holds {kind}. Write what it stands for as a "
            "number, a time for instance as the seconds since its series began."
        )
    return wanted() if isinstance(wanted, type) else wanted


def _name_type(path: Path, column: pl.Series) -> pl.DataType:
    """Return the type of a column of names in a Parquet file: integers and floats as they are, others as text."""
    kind = column.dtype
    if kind.is_integer() or kind.is_float():
        return kind
    if kind not in (pl.String, pl.Boolean, pl.Categorical, pl.Enum):
        raise UserError(
            f"{path}: column {column.name!r} must hold text or numbers, but holds {kind}. Write it as text."
        )
    return pl.String()


def _csv(path: Path, content: Path | bytes, wanted: Wanted) -> pl.DataFrame:
    header = _header(path, content)
    _refuse_other_separators(path, header)
    _require(path, header, wanted)
    kinds = {name: kind or pl.String() for name, kind in wanted.items()}
    try:
        frame = pl.read_csv(content, columns=list(wanted), schema_overrides=kinds)
    except pl.exceptions.ComputeError as error:
        raise _bad_cell(path, content, wanted, error) from error
    whole = [name for name, kind in wanted.items() if kind is None and frame[name].str.contains(WHOLE).all()]
    return frame.select(list(wanted)).with_columns(pl.col(whole).cast(pl.Int64))


def _header(path: Path, content: Path | bytes) -> list[str]:
    try:
        return pl.read_csv(content, n_rows=0, infer_schema=False).columns
    except pl.exceptions.ComputeError as error:
        raise _unreadable(path, error) from error


def _refuse_other_separators(path: Path, header: list[str]) -> None:
    """Refuse a header that is one column to a comma, but several to another separator."""
    found = next((sign for sign in OTHER_SEPARATORS if len(header) == 1 and sign in header[0]), None)
    if found:
        raise UserError(
            f"{path} seems to be separated by {found!r}, but columns must be separated by ','. Write it again, for "
            f"instance by polars: `pl.read_csv(FILE, separator={found!r}).write_csv(FILE)`, with decimal_comma=True "
            "where numbers are written 1,5."
        )


def _unreadable(path: Path, cause: Exception) -> UserError:
    return UserError(
        f"{path} is no readable CSV ({_first_line(cause)}). Check it for a broken line, and save it as UTF-8."
    )


def _bad_cell(path: Path, content: Path | bytes, wanted: Wanted, cause: Exception) -> UserError:
    """Find the first value that is not of its type, in a file that polars refused: read it again as text."""
    try:
        text = pl.read_csv(content, columns=list(wanted), infer_schema=False)
    except pl.exceptions.ComputeError:
        return _unreadable(path, cause)
    for name, kind in wanted.items():
        parsed = text[name].str.strip_chars().cast(kind or pl.String(), strict=False)
        wrong = text[name].is_not_null() & parsed.is_null()
        if wrong.any():
            row = int(wrong.arg_true()[0])
            value = text[name][row]
            return UserError(
                f"{path}, line {row + 2}: column {name!r} must hold numbers, but holds {value!r}. Write a number there."
            )
    return _unreadable(path, cause)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]
