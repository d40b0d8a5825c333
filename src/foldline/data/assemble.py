"""The one place where files become a table: which files, which columns of each, joined, before any check of values.

    folder or archive (data.source)
      → one file, files of a pattern, a folder of Parquet parts, or what tables() of competition.py returns
      → joins of [[data.join]], copies under a second name (data.copies)
      → a frame with the wanted columns, rows in the order of the files

Only wanted columns are read, and of joined files only those that give one. Values are checked afterwards (loading.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import competition_file, file_patterns, join_tables, readers
from foldline.data.competition_file import CompetitionFile
from foldline.data.file_patterns import FoundFile
from foldline.data.file_table import FileTable, Rows
from foldline.data.join_tables import JoinConfig, JoinedFile
from foldline.data.packed_files import members
from foldline.data.readers import Wanted
from foldline.data.roles import DataConfig

SAMPLE = "sample_submission"


@dataclass(frozen=True)
class MadeTable:
    """A table that tables() of competition.py has made."""

    code: CompetitionFile
    name: str  # train, test or sample_submission
    frame: pl.LazyFrame

    @property
    def path(self) -> Path:
        """Return what messages call it."""
        return self.code.path / self.name

    def columns(self) -> list[str]:
        """Return the names of its columns."""
        with competition_file.explained(self.code.path, f"the table {self.name!r} of tables()"):
            return self.frame.collect_schema().names()

    def read(self, wanted: Wanted) -> Rows:
        """Collect the wanted columns.

        Raises:
            UserError: a column is missing or of a wrong type, what tables() has planned fails, or there are no rows.
        """
        with competition_file.explained(self.code.path, f"the table {self.name!r} of tables()"):
            frame = readers.typed(self.path, self.frame, wanted)
        if frame.height == 0:
            raise UserError(f"{self.path}: this table of tables() has no rows. Look at the files that it reads.")
        return Rows(frame)


@dataclass(frozen=True)
class Source:
    """Where a table comes from: its own files, or what tables() has made of them, and what is joined to it."""

    folder: Path  # or archive: data.source
    table: FileTable | MadeTable
    part: str = ""  # train or test
    joins: tuple[JoinConfig, ...] = ()
    copies: Mapping[str, str] = field(default_factory=dict)  # second name -> column

    @property
    def path(self) -> Path:
        """Return what messages call the table."""
        return self.table.path

    def megabytes(self) -> float:
        """Return the size of its own files, MB; 0 of a table that was made."""
        return self.table.size() / 1e6 if isinstance(self.table, FileTable) else 0.0

    def columns(self) -> list[str]:
        """Return the names of all columns: its own, joined ones, copies."""
        return list(dict.fromkeys([*self._in_files(), *self.copies]))

    def _in_files(self) -> list[str]:
        return [*self.table.columns(), *(name for file in self._joined for name in file.there)]

    def read(self, wanted: Wanted) -> Rows:
        """Read the wanted columns, joined ones too; rows in the order of the table's own files.

        wanted: as readers.read has it.

        Raises:
            UserError: whatever is wrong with a file, or a join finds no partner.
        """
        copies = [name for name in self.copies if name in wanted and name not in self._in_files()]
        if not copies:
            return self._of_files(wanted)
        rows = self._of_files({name: kind for name, kind in wanted.items() if name not in copies})
        for name in copies:  # a column is read as one kind at a time
            copied = self._of_files({self.copies[name]: wanted[name]}).frame.to_series()
            rows = Rows(rows.frame.with_columns(copied.alias(name)), rows.pieces)
        return Rows(rows.frame.select(list(wanted)), rows.pieces)

    def _of_files(self, wanted: Wanted) -> Rows:
        if not self.joins:
            return self.table.read(wanted)
        own, second = self.table.columns(), self._second_names_joined_on
        absent = [join.name(self.part) for join in self.joins if not any(file.join is join for file in self._joined)]
        steps = join_tables.plan(self.path, [*own, *second], self._joined, wanted, absent)
        given = [name for step in steps for name in step.columns]
        keys = [name for step in steps for name in step.join.keys if name not in given]
        needed = {name: wanted.get(name) for name in dict.fromkeys([*wanted, *keys]) if name not in given}
        rows = self.table.read({name: kind for name, kind in needed.items() if name not in second})
        frame = rows.frame
        for name in needed.keys() & second.keys():
            copied = self.table.read({second[name]: needed[name]}).frame.to_series()
            frame = frame.with_columns(copied.alias(name))
        for step in steps:
            table = step.table.read(join_tables.wanted_of(step, wanted, frame)).frame
            frame = join_tables.joined(frame, self.path, table, step)
        return Rows(frame.select(list(wanted)), rows.pieces)

    @property
    def _second_names_joined_on(self) -> dict[str, str]:
        """Return second names of the table's own columns that a join is on: a walk that its metadata call Id."""
        own, keys = self.table.columns(), {key for join in self.joins for key in join.keys}
        return {name: of for name, of in self.copies.items() if name in keys and name not in own and of in own}

    @cached_property
    def _joined(self) -> list[JoinedFile]:
        """The joins and their files.

        A file that test lacks may hold labels. A column that it should give is missed by its name then.
        """
        found = []
        for join in self.joins:
            name = join.name(self.part)
            if self.part != "test" or _is_there(self.folder, name):
                table = located(self.folder, name, "data.join.file")
                found.append(JoinedFile(join, table, table.columns()))
        return found


@dataclass(frozen=True)
class Sources:
    """Where all tables of a competition come from; tables() of competition.py is called once, when one is asked for."""

    data: DataConfig
    folder: Path  # or archive: data.source

    def of(self, part: str) -> Source:
        """Find the files of a table. part: train or test.

        Raises:
            UserError: they are not there, or competition.py is wrong.
        """
        table = self._made(part) or located(self.folder, getattr(self.data, part), f"data.{part}")
        return Source(self.folder, table, part, self.data.join, self.data.copies)

    def sample(self) -> Source | None:
        """Find the sample submission; None: there is none.

        Raises:
            UserError: data.sample names one that is not there, or competition.py is wrong.
        """
        made = self._made(SAMPLE)
        if made is not None:
            return Source(self.folder, made)
        if self.data.sample == SAMPLE and readers.find(self.folder, SAMPLE) is None:
            return None
        return Source(self.folder, located(self.folder, self.data.sample, "data.sample"))

    def _made(self, name: str) -> MadeTable | None:
        """Return a table of tables(), or None where it makes none of that name."""
        code = competition_file.of(self.data.code_path)
        if code is None or name not in self._tables:
            return None
        frame = self._tables[name]
        if not isinstance(frame, pl.DataFrame | pl.LazyFrame):
            kind = type(frame).__name__
            raise UserError(f"{code.path}: tables() must return polars frames, lazy or not, but {name!r} is a {kind}.")
        return MadeTable(code, name, frame.lazy())

    @cached_property
    def _tables(self) -> dict[str, object]:
        """What tables() returns; nothing where there is no such function."""
        code = competition_file.of(self.data.code_path)
        if code is None or not code.has("tables"):
            return {}
        if not self.folder.is_dir():
            raise UserError(
                f"{code.path}: tables() needs a folder as data.source, but {self.folder} is none. Unpack it first."
            )
        tables, known = code.call("tables", self.folder), ("train", "test", SAMPLE)
        if not isinstance(tables, dict) or not set(tables) <= set(known):
            got = ", ".join(map(str, tables)) if isinstance(tables, dict) else f"{tables!r:.100}"
            raise UserError(
                f"{code.path}: tables() must return a dict with some of {', '.join(known)}, but returned {got}."
            )
        return tables


def source_of(data: DataConfig, folder: Path, part: str) -> Source:
    """Find the files of one table, as Sources.of does."""
    return Sources(data, folder).of(part)


def sample_of(data: DataConfig, folder: Path) -> Source | None:
    """Find the sample submission, as Sources.sample does."""
    return Sources(data, folder).sample()


def of_file(path: Path) -> Source:
    """Return the source of a table that is one file, whatever [data] says."""
    return Source(path.parent, FileTable(path, (FoundFile(path),)))


def located(folder: Path, text: str, key: str) -> FileTable:
    """Find the files that a key names: a name without its ending, a path inside the folder, or a pattern.

    A folder has Parquet parts.

    Args:
        folder: or archive, data.source. text: as the config has it. key: for messages.

    Raises:
        UserError: there are none.
    """
    if file_patterns.is_pattern(text):
        _require_source(folder)
        return FileTable(folder / text, tuple(file_patterns.matching(folder, text, key)), text)
    if "/" not in text and not text.endswith(readers.ENDINGS):
        found = readers.find(folder, text)
        path = found or (folder / text if (folder / text).is_dir() else readers.locate(folder, text, key))
    else:
        path = folder / text
        _require_source(folder)
        if not _is_there(folder, text):
            where = path.parent if folder.is_dir() and path.parent.is_dir() else folder
            there = members(folder) if folder.is_file() else [entry.name for entry in where.iterdir()]
            raise UserError(
                f"{path}, which {key} names, does not exist; {where} holds {shortened(sorted(there))}. "
                "Correct that key."
            )
    if not path.is_dir():
        return FileTable(path, (FoundFile(path),))
    if path.suffix not in ("", ".parquet"):
        raise UserError(
            f"{path} is a directory, but a file is needed. Name the files in it by a pattern: "
            f'{key} = "{path.relative_to(folder).as_posix()}/*{path.suffix}".'
        )
    return FileTable(path, tuple(file_patterns.partitions(path, key)))


def _require_source(folder: Path) -> None:
    """Refuse a data.source that is not there, as the readers do."""
    if not folder.exists():
        readers.find(folder, "train")


def _is_there(folder: Path, text: str) -> bool:
    """Return whether a key names anything, which may be a pattern."""
    if file_patterns.is_pattern(text):
        return True
    if folder.is_file():
        return text in members(folder)
    path = folder / text
    return path.exists() or path.is_symlink() or ("/" not in text and readers.find(folder, text) is not None)
