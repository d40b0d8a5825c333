"""CSV files: their columns as polars reads them, numbers where it can, else text."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import BinaryIO

import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import row_lengths, times
from foldline.data.packed_files import guarded
from foldline.data.wanted_columns import ORDER, TIME, Kind, Wanted, require

OTHER_SEPARATORS = (";", "\t", "|")
MEND = "Check it for a broken line, and save it as UTF-8."


def read(path: Path, found: Path | bytes, wanted: Wanted) -> pl.DataFrame:
    """Read the wanted columns: numbers as Float64 (an order of long whole numbers as Int64), else as text.

    path: for messages. found: the file, or its bytes.

    Raises:
        UserError: the file is broken, or lacks a column.
    """
    names = header(path, found)
    require(path, names, wanted)
    places = {names.index(name): name for name in names if name in wanted}
    raw = _raw_header(path, found)
    first = _first_row(found, list(places))
    kinds = {raw[place]: _kind_of(wanted[name], first.get(raw[place])) for place, name in places.items()}
    # By place: patterns again, and polars leaves doubled quotes in names.
    try:
        with guarded(path, rule="is no readable CSV", way_out=MEND):
            frame = pl.read_csv(found, columns=list(places), schema_overrides=kinds, glob=False)
    except UserError as error:
        if not isinstance(error.__cause__, pl.exceptions.ComputeError):
            raise
        frame = _as_text(found, places, error)
    with guarded(path, rule="is no readable CSV", way_out=MEND), _opened(found) as stream:
        row_lengths.check(path, stream, len(names), frame.height)
    frame.columns = list(places.values())
    long = [place for place, name in places.items() if wanted[name] == ORDER and _is_inexact(frame[name])]
    return frame.with_columns(_whole(found, place, frame[places[place]]) for place in long)


def _first_row(found: Path | bytes, places: list[int]) -> dict[str, str | None]:
    """Return the first row's cells by polars' names of the columns; none where it can't be read."""
    try:
        return pl.read_csv(found, columns=places, n_rows=1, infer_schema=False, glob=False).to_dicts()[0]
    except (pl.exceptions.PolarsError, IndexError):
        return {}


def _kind_of(wanted: Kind, first: str | None) -> pl.DataType | type[pl.DataType]:
    """Return the type that polars shall read a column as; text where its first cell is no number."""
    if wanted is None or wanted in (pl.String, TIME):
        return pl.String
    text = (first or "0").strip()
    return pl.Float64 if pl.Series([text]).cast(pl.Float64, strict=False)[0] is not None else pl.String


def _is_inexact(order: pl.Series) -> bool:
    """Return whether an order has numbers that float64 may not hold."""
    return order.dtype == pl.Float64 and bool((order.abs() > times.EXACT).any())


def _whole(found: Path | bytes, place: int, order: pl.Series) -> pl.Series:
    """Return an order as Int64 where it holds whole numbers, else as it is. place: of its column in the file."""
    whole = times.long_numbers(pl.read_csv(found, columns=[place], infer_schema=False, glob=False).to_series())
    return order if whole is None else whole.alias(order.name)


def _as_text(found: Path | bytes, places: dict[int, str], cause: UserError) -> pl.DataFrame:
    """Read a file again whose numbers polars does not take: a flag, a marker, or none, which is refused later."""
    try:
        return pl.read_csv(found, columns=list(places), infer_schema=False, glob=False)
    except pl.exceptions.PolarsError:
        raise cause from cause.__cause__


def _raw_header(path: Path, found: Path | bytes) -> list[str]:
    """Return polars' names of the columns: a second `x` is x_duplicated_0, and doubled quotes stay doubled."""
    with guarded(path, rule="is no readable CSV", way_out=MEND):
        return pl.read_csv(found, n_rows=0, infer_schema=False, glob=False).columns


def header(path: Path, found: Path | bytes) -> list[str]:
    """Return the columns' names as they are meant.

    Raises:
        UserError: two have one name; columns are not separated by commas.
    """
    raw = _raw_header(path, found)
    with guarded(path, rule="is no readable CSV", way_out=MEND), _opened(found) as stream:
        # The name of a column that nobody uses need not be UTF-8.
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="backslashreplace", newline="")
        header = next((row for row in csv.reader(text) if row), [])
    if len(header) != len(raw):
        raise UserError(f"{path} is no readable CSV (its header breaks off). {MEND}")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise UserError(
            f"{path} has more than one column called {shortened([repr(name) for name in twice])}. "
            "Rename all but one of them."
        )
    _refuse_other_separators(path, header)
    return header


def refuse_second_header(path: Path, frame: pl.DataFrame) -> None:
    """Refuse a table with its header among the rows, as of files appended to one another: all columns are text then."""
    if set(frame.dtypes) == {pl.String}:
        header = tuple(frame.columns)
        row = next((number for number, row in enumerate(frame.iter_rows()) if row == header), None)
        if row is not None:
            raise UserError(f"{path} has its header again as row {row + 1:,} below the first one. Remove that line.")


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
