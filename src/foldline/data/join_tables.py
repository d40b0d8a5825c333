"""Equal-key joins: columns of other files beside train and test, such as labels, metadata or demographics.

    join = [{file = "{part}_demographics.csv", on = "subject"}]

gives each row of train and test the columns that [data] names and that its own files lack, by the row of the joined
table with the same key. Keys are compared in the normal form of names (identity.py), dates that are data.order as
moments (times.py). A join may need a column that an earlier one has brought; one that brings nothing is not read: a
test table needs no labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from foldline.core.errors import UserError, unknown
from foldline.data import identity, on_disk, times
from foldline.data.file_table import FileTable
from foldline.data.readers import ORDER, Wanted

PART = "{part}"  # in the name of a joined file: train or test


@dataclass(frozen=True, kw_only=True)
class JoinConfig:
    """[[data.join]]: a table whose columns rows get by an equal key."""

    file: str  # its path inside data.source; {part} in it stands for train or test
    on: str | tuple[str, ...]  # key column of both tables, or several; each key once in the joined table
    columns: tuple[str, ...] = ()  # what is taken from it; empty: every column with a role that was not there before
    required: bool = True  # whether each row must find its key; else its columns are missing there

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", (self.on,) if isinstance(self.on, str) else self.on)
        if not self.file or not self.keys or not all(self.keys):
            raise ValueError("file and on must be given")
        both = sorted({*self.keys} & {*self.columns})
        if both:
            raise ValueError(f"{both[0]!r} is what is joined on, so that it can't be among columns, too")

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the columns that are joined on."""
        return tuple(self.on)

    def name(self, part: str) -> str:
        """Return the file's name. part: train or test."""
        return self.file.replace(PART, part)


@dataclass(frozen=True)
class JoinedFile:
    """A join, and the table that it reads."""

    join: JoinConfig
    table: FileTable
    there: list[str]  # columns of the table


@dataclass(frozen=True)
class Step:
    """What a join gives."""

    join: JoinConfig
    table: FileTable
    columns: tuple[str, ...]


def plan(
    path: Path, own: Sequence[str], joined: Sequence[JoinedFile], wanted: Iterable[str], absent: Sequence[str] = ()
) -> list[Step]:
    """Decide which file gives which of the wanted columns.

    Args:
        path: of the table that is joined to, for messages. own: its columns.
        absent: names of joined files that test lacks.

    Returns:
        The joins that give something, in order.

    Raises:
        UserError: a column is in no file, or in two, or what a join needs is not there.
    """
    owner = _owners(path, own, joined, list(wanted))
    steps: list[Step] = []
    needed = list(wanted)
    for number in reversed(range(len(joined))):  # what a later join is on, an earlier one may have to give
        join, table = joined[number].join, joined[number].table
        taken = tuple(name for name in dict.fromkeys(needed) if owner.get(name) == number)
        if taken:
            steps.insert(0, Step(join, table, taken))
            needed += join.keys
            lacking = [name for name in join.keys if name not in own and owner.get(name, number) >= number]
            if lacking:
                raise unknown("column", lacking[0], own, f"{path} lacks a column that data.join joins {table.path} on")
    lacking = [name for name in needed if name not in own and name not in owner]
    if lacking:
        others = [name for file in joined for name in file.there]
        also = f", and so does {' and '.join(str(file.table.path) for file in joined)}" if joined else ""
        also += f", and {' and '.join(absent)}, which data.join names, is not there" if absent else ""
        raise unknown("column", lacking[0], {*own, *others}, f"{path} lacks a column that [data] names{also}")
    return steps


def _owners(path: Path, own: Sequence[str], joined: Sequence[JoinedFile], wanted: list[str]) -> dict[str, int]:
    """Say which join gives a column, by number; of columns that are not there, the table's own files may have them."""
    relevant = {*wanted, *(name for file in joined for name in file.join.keys)}
    owner: dict[str, int] = {}
    for number, file in enumerate(joined):
        join = file.join
        for name in (*join.keys, *join.columns):
            if name not in file.there:
                raise unknown("column", name, file.there, f"{file.table.path} lacks a column that data.join names")
        for name in join.columns or [name for name in file.there if name in relevant and name not in join.keys]:
            other = joined[owner[name]].table.path if name in owner else path
            if name in owner or (name in own and not join.columns):
                raise UserError(
                    f"{file.table.path} and {other} both have the column {name!r}, and nothing says which counts. Say "
                    "by columns = [...] of that data.join what is taken from its file."
                )
            owner[name] = number
    return owner


def wanted_of(step: Step, wanted: Wanted, frame: pl.DataFrame) -> Wanted:
    """Return what is read of a joined file: what it gives, and its keys: dates where `frame` has dates, else names."""
    keys: Wanted = {name: ORDER if frame[name].dtype.is_temporal() else None for name in step.join.keys}
    return keys | {name: wanted.get(name) for name in step.columns}


def joined(frame: pl.DataFrame, path: Path, table: pl.DataFrame, step: Step) -> pl.DataFrame:
    """Give each row of a frame the columns of the row of `table` with the same keys; the frame's order is kept.

    path: of the frame, for messages.

    Raises:
        UserError: the table has a key twice, or rows of the frame find none.
    """
    keys = step.join.keys
    pairs = [_alike(frame[name], table[name], path, step) for name in keys]
    ours = pl.DataFrame([one.alias(name) for name, (one, _) in zip(keys, pairs, strict=True)])
    theirs = pl.DataFrame([two.alias(name) for name, (_, two) in zip(keys, pairs, strict=True)])
    _refuse_copies(theirs, step)
    matched = ours.lazy().join(theirs.lazy().with_row_index(PLACE), on=keys, how="left", maintain_order="left")
    places = matched.select(PLACE).collect()[PLACE]
    _refuse_unmatched(places.is_null(), ours, path, step)
    return frame.with_columns(on_disk.kept(table[name].gather(places)) for name in step.columns)


def _alike(ours: pl.Series, theirs: pl.Series, path: Path, step: Step) -> tuple[pl.Series, pl.Series]:
    """Return a key of both tables as it is compared: names in their normal form, dates as moments.

    Raises:
        UserError: one holds dates and the other numbers, or only one has a zone.
    """
    if not ours.dtype.is_temporal():
        return identity.alike(ours, theirs)
    try:
        one, two = times.of_one_type([ours, theirs])
    except times.NotATime as error:
        raise UserError(
            f"{step.table.path} is joined to {path} on {ours.name!r}, which must hold {error}. Write both alike."
        ) from error
    return one, two


def _refuse_copies(keys: pl.DataFrame, step: Step) -> None:
    """Refuse a joined table that has a key twice: a row would become two."""
    copies = keys.is_duplicated()
    if copies.any():
        row = int(copies.arg_true()[0])
        other = next(place for place in copies.arg_true().to_list() if place > row and keys.row(place) == keys.row(row))
        raise UserError(
            f"{step.table.path}, rows {row + 1} and {other + 1}: a joined table must have each key once, but both have "
            f"{_shown(keys, row)}. Name more columns in on of that data.join, or make one row of "
            "them in competition.py."
        )


def _refuse_unmatched(missing: pl.Series, keys: pl.DataFrame, path: Path, step: Step) -> None:
    """Refuse rows that find no partner where the join requires one, and a join where no row finds any."""
    if not missing.any() or not (step.join.required or missing.all()):
        return
    if missing.all():
        way_out = "Is it the right file, and the right column in on?"
    else:
        way_out = (
            "Add them to that file, or set required = false in that data.join: its columns are missing there then."
        )
    row = int(missing.arg_true()[0])
    raise UserError(
        f"{step.table.path} must have a row for each row of {path}, but has none for {int(missing.sum())} of "
        f"{len(missing)} (first: row {row + 1}, {_shown(keys, row)}). {way_out}"
    )


PLACE = "__place__"  # of a key's row in the joined table


def _shown(keys: pl.DataFrame, row: int) -> str:
    return ", ".join(f"{name} {value}" for name, value in keys.row(row, named=True).items())
