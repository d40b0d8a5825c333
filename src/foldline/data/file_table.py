"""A table of one file, or of several with the same columns, one after the other."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data import identity, number_texts, on_disk, readers, times
from foldline.data.file_patterns import FoundFile
from foldline.data.on_disk import Gathered
from foldline.data.readers import Wanted
from foldline.data.wanted_columns import Kind

AHEAD = 2 * (os.cpu_count() or 1)  # files that are read before their rows are asked for


@dataclass(frozen=True)
class Rows:
    """What was read of a table."""

    frame: pl.DataFrame
    pieces: tuple[tuple[Path, int], ...] = ()  # of a table of several files: each with its number of rows

    def by_file(self) -> Iterator[tuple[Path, pl.DataFrame]]:
        """Cut the frame into the rows of each file; nothing for a table of one file."""
        start = 0
        for path, height in self.pieces:
            yield path, self.frame.slice(start, height)
            start += height

    @property
    def empty(self) -> list[Path]:
        """List the files that have a header but no rows."""
        return [path for path, height in self.pieces if not height]


@dataclass(frozen=True)
class FileTable:
    """The files of a table."""

    path: Path  # for messages: the file, or data.source and the pattern
    found: tuple[FoundFile, ...]  # at least one
    pattern: str = ""  # where one found them

    def size(self) -> int:
        """Return the bytes of its files, which lie in a folder."""
        return sum(file.path.stat().st_size for file in self.found)

    def columns(self) -> list[str]:
        """Return the names of the columns: those of the first file, and those that paths give.

        Raises:
            UserError: a file and the pattern both give one.
        """
        own, of_path = self._own_columns(), list(self.found[0].columns)
        both = [name for name in of_path if name in own]
        if both and self.pattern:
            raise UserError(
                f"{self.found[0].path} has a column {both[0]!r} of its own, but the pattern {self.pattern!r} takes it "
                f"from the path. Write * instead of {{{both[0]}}}, or another name there."
            )
        return own + [name for name in of_path if name not in own]

    def read(self, wanted: Wanted) -> Rows:
        """Read the wanted columns, files in the order of their paths.

        Raises:
            UserError: as readers.read, of the file that is wrong; no file has any row.
        """
        if len(self.found) == 1 and not self.found[0].columns:
            return Rows(readers.read(self.found[0].path, wanted))
        there = self.columns()
        of_path = [name for name in there[len(self._own_columns()) :] if name in wanted]
        inside = {name: kind for name, kind in wanted.items() if name not in of_path}
        inside = inside or {there[0]: pl.String()}  # any column says how many rows there are
        heights, columns = [], {name: Gathered() for name in inside}
        for frame in self._read_each(inside):
            heights.append(frame.height)
            for name in inside:
                columns[name].add(frame[name])
        counts = np.array(heights)
        if not counts.any():
            raise UserError(f"{self.path}: its {len(counts)} files have a header but no rows.")

        def column(name: str) -> pl.Series:
            if name in of_path:
                return self._of_paths(name, wanted[name], counts)
            return self._stacked(columns.pop(name).parts(), wanted[name])

        frame = on_disk.kept_all(map(column, wanted))
        return Rows(frame, tuple(zip([file.path for file in self.found], heights, strict=True)))

    def _own_columns(self) -> list[str]:
        return readers.columns(self.found[0].path)

    def _read_each(self, wanted: Wanted) -> Iterator[pl.DataFrame]:
        """Read the files in their order, some of them side by side; an error is that of the first bad one."""
        waiting: deque[Future[pl.DataFrame]] = deque()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for file in self.found:
                waiting.append(pool.submit(readers.read, file.path, wanted, may_be_empty=True))
                if len(waiting) > AHEAD:  # not all at once: they would be the whole table, in memory
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _of_paths(self, name: str, kind: Kind, heights: np.ndarray) -> pl.Series:
        """Return a column that paths give, (rows,). heights: (files,) rows of each file."""
        values = pl.Series(name, [file.columns[name] for file in self.found], dtype=pl.String)
        try:
            values = readers.converted(values, kind)
        except number_texts.NotANumber as error:
            raise UserError(
                f"{self.found[error.row].path}: {name!r}, which its path gives, must be a number, but is "
                f"{error.text!r}. Rename that file or folder, or give the column another role."
            ) from error
        except times.NotATime as error:
            raise UserError(f"{self.path}: {name!r}, which paths give, must hold {error}. Rename these.") from error
        return values.gather(np.repeat(np.arange(len(values)), heights))

    def _stacked(self, parts: Sequence[pl.Series], kind: Kind) -> pl.Series:
        """Put the columns of several files one below the other; names, orders and times get one type over all files."""
        filled = [part for part in parts if len(part)]
        if len({part.dtype for part in filled}) == 1:
            return pl.concat(filled)
        if kind is not None:
            try:
                return pl.concat(times.of_one_type(filled))
            except times.NotATime as error:
                raise UserError(f"{self.path}: column {filled[0].name!r} must hold {error}.") from error
        if any(part.dtype.is_float() and part.is_infinite().any() for part in filled):  # which a check will refuse
            return pl.concat([part.cast(pl.Float64, strict=False) for part in filled])
        filled = [identity.normal(part.fill_nan(None)) if part.dtype.is_float() else part for part in filled]
        return identity.normal(pl.concat([part.cast(pl.String) for part in filled]))
