"""The layout of a submission: in which row and column of it each prediction stands.

All addresses (submission_addresses.py) are made and looked up in the sample: nothing is taken apart, so that a
separator inside of values harms nothing. A submission asks for all answers of its table, or just for those that the
metric counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.chunks import chunks
from foldline.data import identity, on_disk
from foldline.data.submission_addresses import Addresses
from foldline.data.table import Table

ROWS = 1 << 20  # of a file that are taken back at once
NOWHERE = -1  # cell of a row and column that no answer has


@dataclass(frozen=True)
class Layout:
    """The rows and columns of one file, and which prediction stands in each. V value columns."""

    addresses: Addresses
    order: tuple[str, ...]  # of all columns, the id's among them
    ids: pl.Series  # (rows,) as they are printed
    cells: np.ndarray  # (rows, V) int64: place of each value's prediction among all (A, C); NOWHERE: it has none

    @staticmethod
    def of(table: Table, sample: pl.DataFrame | None, path: Path | None = None, as_numbers: bool = False) -> Layout:
        """Find the layout that a sample has, or any file like it; without one, rows are in the test file's order.

        path, as_numbers: as of Addresses.
        """
        data = table.data
        addresses = Addresses.of(table, None if sample is None else sample.columns, path, as_numbers)
        known = addresses.known_columns
        if sample is None:
            return Layout(addresses, (data.id, *known), *_in_file_order(addresses, known))
        order = tuple(name for name in sample.columns if name in (data.id, *known))
        ids = sample[data.id]
        return Layout(addresses, order, ids, _cells(addresses, ids, [name for name in order if name != data.id]))

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the V value columns."""
        return tuple(name for name in self.order if name != self.addresses.table.data.id)

    def laid_out(self, predictions: np.ndarray) -> pl.DataFrame:
        """Make the submission of a table's predictions, (A, K)."""
        task = self.addresses.table.task
        flat = task.labels(predictions) if self.addresses.labels else pl.Series(predictions.ravel())
        values = dict(zip(self.columns, self.cells.T, strict=True))
        data = self.addresses.table.data
        columns = {
            name: self.ids if name == data.id else on_disk.kept(flat.gather(values[name])) for name in self.order
        }
        return pl.DataFrame(columns)

    def parsed(self, frame: pl.DataFrame) -> np.ndarray:
        """Take the numbers of a file with these rows and columns back to the answers: (A, C), NaN where it has none."""
        found = on_disk.kept_array(np.full(self.addresses.answers * len(self.addresses.names), np.nan))
        for rows in chunks(len(self.cells), ROWS):
            values = frame[rows].select(pl.col(name).cast(pl.Float64) for name in self.columns).to_numpy()
            known = self.cells[rows] != NOWHERE
            found[self.cells[rows][known]] = values[known]
        return found.reshape(-1, len(self.addresses.names))

    def rows_of_answers(self) -> np.ndarray:
        """Return the row in which an answer stands, one of them where it has several, (A,) int64; NOWHERE: in none."""
        rows = np.full(self.addresses.answers, NOWHERE)
        for column in self.cells.T:
            known = column != NOWHERE
            rows[column[known] // len(self.addresses.names)] = np.flatnonzero(known)
        return rows

    @property
    def answered(self) -> np.ndarray:
        """Answers that the file has, (A,) bool."""
        found = np.zeros(self.addresses.answers, dtype=bool)
        for rows in chunks(len(self.cells), ROWS):
            cells = self.cells[rows]
            found[cells[cells != NOWHERE] // len(self.addresses.names)] = True
        return found

    def difference(self, every: bool = False) -> str:
        """Say how the file's ids and columns differ from all answers, and from those that count; empty: they don't.

        every: only all answers will do.
        """
        table, difference = self.addresses.table, ""
        for asked in (None,) if every or table.asked.all() else (None, table.asked):
            ids = _distinct(self.addresses.ids)
            expected = pl.concat(each if asked is None else each.filter(pl.Series(asked)) for each in ids).drop_nulls()
            if not identity.is_unique(expected):
                expected = expected.unique(maintain_order=True)
            found = identity.difference(self.ids, expected) or self._gap(asked)
            if not found:
                return ""
            difference = difference or found
        return difference

    def _gap(self, asked: np.ndarray | None) -> str:
        """Say which row and column has no answer, or which prediction has no place. asked: (A,) bool; None: all."""
        gaps = np.argwhere(self.cells == NOWHERE)
        if len(gaps):
            row, column = gaps[0]
            return f"asks for {self.columns[column]} of {self.ids.name} {self.ids[int(row)]}, which no row there has"
        lacking = np.ones((self.addresses.answers, len(self.addresses.names)), dtype=bool)
        lacking.ravel()[self.cells.ravel()] = False
        lacking[slice(0) if asked is None else ~asked] = False
        of_train = self.addresses.table.of_train
        lacking[slice(0) if of_train is None else of_train] = False
        if lacking.any():
            answer, number = np.argwhere(lacking)[0]
            column = self.addresses.columns[number]
            name = column if isinstance(column, str) else column[int(answer)]
            return f"has no column {name} for {self.ids.name} {self.addresses.ids[number][int(answer)]}"
        return ""


def _distinct(ids: Sequence[pl.Series]) -> list[pl.Series]:
    """Return the columns of ids that are not one and the same object."""
    return list({id(each): each for each in ids}.values())


def _in_file_order(addresses: Addresses, columns: Sequence[str]) -> tuple[pl.Series, np.ndarray]:
    """Lay a submission out without a sample: its ids, in the order of the test file, and its cells."""
    moved, count = None if addresses.table.task.on_series else addresses.table.file_rows, len(addresses.names)
    answers = np.arange(addresses.answers) if moved is None else np.argsort(moved)
    if addresses.table.of_train is not None:
        answers = answers[~addresses.table.of_train[answers]]
    ids = [each.gather(answers) for each in _distinct(addresses.ids)]
    if len(ids) == 1 and len(columns) == count and all(isinstance(column, str) for column in addresses.columns):
        return ids[0], answers[:, None] * count + np.arange(count)  # a row an answer
    rows = pl.concat(pl.DataFrame({"id": each, "answer": np.arange(len(answers))}) for each in ids)
    listed = rows.sort("answer", maintain_order=True)["id"].drop_nulls().unique(maintain_order=True)
    listed = listed.alias(addresses.table.data.id)
    return listed, _cells(addresses, listed, columns)


def _cells(addresses: Addresses, ids: pl.Series, columns: Sequence[str]) -> np.ndarray:
    """Find the prediction of each row and column: (rows, V) int64."""
    cells = on_disk.kept_array(np.full((ids.len(), len(columns)), NOWHERE))
    found: dict[int, np.ndarray] = {}  # several columns often have the same ids
    for place, name in enumerate(columns):
        for number, answers in addresses.in_column(name):
            known = addresses.ids[number]
            if answers is None:
                if id(known) not in found:
                    found[id(known)] = _places(ids, known)
                answer = found[id(known)]
            else:
                some = _places(ids, known.gather(answers))
                answer = np.where(some == NOWHERE, NOWHERE, answers[some])
            there = answer != NOWHERE
            cells[there, place] = answer[there] * len(addresses.names) + number
    return cells


def _places(ids: pl.Series, known: pl.Series) -> np.ndarray:
    """Return the place of each id among known ones, (rows,) int64; NOWHERE: it is not there."""
    return identity.places(ids, known).cast(pl.Int64).fill_null(NOWHERE).to_numpy()
