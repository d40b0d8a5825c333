"""CSV files: their columns as polars reads them, numbers where it can, else text."""

from __future__ import annotations

import csv
import io
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import identity, row_lengths, times
from foldline.data.on_disk import Gathered
from foldline.data.packed_files import guarded, is_plain, opened
from foldline.data.row_lengths import RowLengths
from foldline.data.wanted_columns import ORDER, TIME, Kind, Wanted, require

OTHER_SEPARATORS = (";", "\t", "|")
WORKERS = min(4, os.cpu_count() or 1)  # blocks that are parsed side by side, while earlier ones are checked
MEND = "Check it for a broken line, and save it as UTF-8."


def read(path: Path, wanted: Wanted) -> pl.DataFrame:
    """Read the wanted columns: numbers as Float64 (an order of long whole numbers as Int64), else as text.

    Names of series and rows come in their normal form (identity.py).

    Raises:
        UserError: the file is not there, broken, or lacks a column.
    """
    begin = _begin(path)
    names = _header(path, begin)
    require(path, names, wanted)
    places = {names.index(name): name for name in names if name in wanted}
    raw = _raw_header(path, begin)
    first = _first_row(path, list(places))
    kinds = {raw[place]: _kind_of(wanted[name], first.get(raw[place])) for place, name in places.items()}
    # By place: patterns again, and polars leaves doubled quotes in names.
    is_name = [wanted[name] is None for name in places.values()]
    reader = _Reader(path, len(names), list(places), is_name)
    try:
        columns = reader.read({"schema_overrides": kinds})
    except UserError as error:
        if not isinstance(error.__cause__, pl.exceptions.ComputeError):
            raise
        columns = _as_text(reader, error)
    for number, (place, name) in enumerate(places.items()):
        if wanted[name] == ORDER and _is_long(columns[number]):
            columns[number] = _whole(replace(reader, places=[place], is_name=[False]), columns[number])
    return pl.DataFrame([column.alias(name) for column, name in zip(columns, places.values(), strict=True)])


@dataclass(frozen=True)
class _Reader:
    """Reads a file block by block: a block is all that is in memory at once, and its rows are checked as they come."""

    path: Path
    fields: int  # of the header
    places: list[int]  # of the wanted columns
    is_name: list[bool]  # of each, whether it names series or rows: those come in their normal form

    def read(self, types: dict[str, Any]) -> list[pl.Series]:
        """Return the wanted columns. types: arguments that say how polars takes them.

        Raises:
            UserError: the file is broken, or does not hold these types.
        """
        rows, columns = RowLengths(self.path, self.fields), [Gathered() for _ in self.places]
        waiting: deque[Future[_Block]] = deque()

        def take() -> None:
            block = waiting.popleft().result()
            rows.add(block.content, len(block.columns[0]))
            for column, part in zip(columns, block.columns, strict=True):
                column.add(part)

        guard, head = guarded(self.path, rule="is no readable CSV", way_out=MEND), b""
        with guard, opened(self.path) as stream, ThreadPoolExecutor(WORKERS) as pool:
            try:
                for content in row_lengths.blocks(stream):
                    waiting.append(pool.submit(self._block, head, content, types))
                    head = head or row_lengths.head_of(content)
                    if len(waiting) > WORKERS:
                        take()
            finally:  # what is wrong with the rows of an earlier block is said first
                while waiting:
                    take()
            rows.finish()
        return [identity.together(column.parts()) for column in columns]

    def _block(self, head: bytes, content: bytearray, types: dict[str, Any]) -> _Block:
        frame = pl.read_csv(head + content, columns=self.places, glob=False, **types)
        parts = zip(self.is_name, frame, strict=True)
        return _Block(content, [identity.normal(part) if is_name else part for is_name, part in parts])


@dataclass(frozen=True)
class _Block:
    content: bytearray
    columns: list[pl.Series]  # the wanted ones


def _begin(path: Path) -> Path | bytes:
    """Return a file, or of a packed one its first rows, which tell of its columns."""
    if is_plain(path):
        return path
    with opened(path) as stream:
        return bytes(next(row_lengths.blocks(stream), b""))


def _first_row(path: Path, places: list[int]) -> dict[str, str | None]:
    """Return the first row's cells by polars' names of the columns; none where it can't be read."""
    try:
        with opened(path) as stream:
            begin = bytes(next(row_lengths.blocks(stream), b""))  # polars looks at all of a file
        return pl.read_csv(begin, columns=places, n_rows=1, infer_schema=False, glob=False).to_dicts()[0]
    except (pl.exceptions.PolarsError, IndexError):
        return {}


def _kind_of(wanted: Kind, first: str | None) -> pl.DataType | type[pl.DataType]:
    """Return the type that polars shall read a column as; text where its first cell is no number."""
    if wanted is None or wanted in (pl.String, TIME):
        return pl.String
    text = (first or "0").strip()
    return pl.Float64 if pl.Series([text]).cast(pl.Float64, strict=False)[0] is not None else pl.String


def _is_long(order: pl.Series) -> bool:
    """Return whether an order has numbers that float64 may not hold."""
    most = order.abs().max() if order.dtype == pl.Float64 else None
    return isinstance(most, float) and most > times.EXACT


def _whole(reader: _Reader, order: pl.Series) -> pl.Series:
    """Return an order as Int64 where it holds whole numbers, else as it is. reader: of its column."""
    (texts,) = reader.read({"infer_schema": False})
    whole = times.long_numbers(texts)
    return order if whole is None else whole


def _as_text(reader: _Reader, cause: UserError) -> list[pl.Series]:
    """Read a file again whose numbers polars does not take: a flag, a marker, or none, which is refused later."""
    try:
        return reader.read({"infer_schema": False})
    except UserError as error:
        if isinstance(error.__cause__, pl.exceptions.PolarsError):
            raise cause from cause.__cause__
        raise


def _raw_header(path: Path, begin: Path | bytes) -> list[str]:
    """Return polars' names of the columns: a second `x` is x_duplicated_0, and doubled quotes stay doubled."""
    with guarded(path, rule="is no readable CSV", way_out=MEND):
        return pl.read_csv(begin, n_rows=0, infer_schema=False, glob=False).columns


def header(path: Path) -> list[str]:
    """Return the columns' names as they are meant.

    Raises:
        UserError: the file is not there, or broken; two have one name; columns are not separated by commas.
    """
    return _header(path, _begin(path))


def _header(path: Path, begin: Path | bytes) -> list[str]:
    raw = _raw_header(path, begin)
    with (
        guarded(path, rule="is no readable CSV", way_out=MEND),
        io.BytesIO(begin) if isinstance(begin, bytes) else begin.open("rb") as stream,
    ):
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


def _refuse_other_separators(path: Path, header: list[str]) -> None:
    """Refuse a header that is one column to a comma, but several to another separator."""
    found = next((sign for sign in OTHER_SEPARATORS if len(header) == 1 and sign in header[0]), None)
    if found:
        raise UserError(
            f"{path} seems to be separated by {found!r}, but columns must be separated by ','. Write it again, for "
            f"instance by polars: `pl.read_csv(FILE, separator={found!r}).write_csv(FILE)`, with decimal_comma=True "
            "where numbers are written 1,5."
        )
