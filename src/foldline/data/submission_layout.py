"""The layout of a submission: in which row and column of it each prediction stands, and whether as label or number.

Every prediction has an *address*, an id and a column. The id is a value of the table's column data.id, or is made by
data.id_template, for instance "{ride}_{step}", and may then stand for another one by a key file (data.id_file). The
column is the target's, or made by data.column_template: one a class, one a step ("F{step + 1}"), or the same for all.
All addresses are made and looked up in the sample: nothing is taken apart, so that a separator inside of values harms
nothing. A submission asks for all answers of its table, or just for those that the metric counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import identity, submission_ids
from foldline.data.name_template import NameTemplate
from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.data.task import WITH_LABELS, Task

NOWHERE = -1  # cell of a row and column that no answer has


@dataclass(frozen=True)
class Addresses:
    """Where the predictions of a table stand. C numbers an answer: K, or one where labels are submitted."""

    table: Table
    names: tuple[str, ...]  # (C,) names of an answer's numbers
    labels: bool  # one label an answer, instead of numbers
    ids: tuple[pl.Series, ...]  # (C,), each (A,), often the same; null where data.id_file has none
    columns: tuple[str | pl.Series, ...]  # (C,), each one name, or (A,) names where they differ by answer

    @staticmethod
    def of(table: Table, sample: Sequence[str] | None, path: Path | None = None, as_numbers: bool = False) -> Addresses:
        """Find the addresses in a submission with the columns of a sample; without one, the metric's needs decide.

        Args:
            path: of its file, for messages.
            as_numbers: in a file of predictions, which has numbers where a submission has labels.

        Raises:
            UserError: it has columns for some of the classes only, or two predictions have one address.
        """
        task, data = table.task, table.data
        labels = not as_numbers and _submits_labels(task, sample)
        names = data.target if labels else task.columns
        columns = data.templates[1]
        if as_numbers and len(names) > 1 and not _names_target(data):
            columns = NameTemplate("")  # the one column is that of labels
        _refuse_one_column(columns, data, names)
        rows = submission_ids.naming_rows(table)
        made = Addresses(
            table=table,
            names=names,
            labels=labels,
            ids=submission_ids.of_answers(table, rows, names),
            columns=tuple(
                columns.names(rows, name) if columns.columns else column
                for name, column in zip(names, _columns(task, names, columns, sample, path), strict=True)
            ),
        )
        made._refuse_shared()
        return made

    @property
    def answers(self) -> int:
        """Return A, the number of answers."""
        return len(self.ids[0])

    @property
    def known_columns(self) -> list[str]:
        """List the columns of the submission beside its id, in order of first appearance."""
        names = [[one] if isinstance(one, str) else one.unique(maintain_order=True) for one in self.columns]
        return list(dict.fromkeys(name for each in names for name in each))

    def in_column(self, name: str) -> list[tuple[int, np.ndarray | None]]:
        """List which predictions stand in a column: the number in each answer, and the answers, None: all."""
        found: list[tuple[int, np.ndarray | None]] = []
        for number, column in enumerate(self.columns):
            if isinstance(column, str):
                found += [(number, None)] if column == name else []
            else:
                found.append((number, np.flatnonzero(column == name)))
        return found

    def _refuse_shared(self) -> None:
        """Refuse a column that is called as the id, and two predictions with one address; a file's ids are checked."""
        data = self.table.data
        if data.id in self.known_columns:
            way_out = "put the competition's sample_submission, which names its columns, beside the test table"
            raise UserError(
                f"A submission can't have two columns of one name, but a prediction's column is called like the row "
                f"id, {data.id!r}: {way_out}, or give data.column_template."
            )
        if not (data.id_template or data.column_template or self.table.task.on_series):
            return
        for name in self.known_columns:
            parts = [(self.ids[number], answers) for number, answers in self.in_column(name)]
            ids = pl.concat(each if answers is None else each.gather(answers) for each, answers in parts)
            twice = ids.drop_nulls().is_duplicated()
            if twice.any():
                first = ids.drop_nulls().filter(twice)[0]
                rows = [pl.arange(self.answers, eager=True) if part is None else pl.Series(part) for _, part in parts]
                keys = self.table.answers[data.key].gather(pl.concat(rows).filter(ids == first)).to_list()
                raise UserError(
                    f"{self.table.path}: each prediction must have an id and a column of its own, but {len(keys)} have "
                    f"{data.id} {first}, column {name} ({data.key} {keys[0]} and {keys[1]}). Change data.id_template "
                    "or data.column_template so that they tell them apart."
                )


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
        columns = {name: self.ids if name == data.id else flat.gather(values[name]) for name in self.order}
        return pl.DataFrame(columns)

    def parsed(self, frame: pl.DataFrame) -> np.ndarray:
        """Take the numbers of a file with these rows and columns back to the answers: (A, C), NaN where it has none."""
        found = np.full(self.addresses.answers * len(self.addresses.names), np.nan)
        values = frame.select(pl.col(name).cast(pl.Float64) for name in self.columns).to_numpy()
        known = self.cells != NOWHERE
        found[self.cells[known]] = values[known]
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
        return np.asarray(self.rows_of_answers() != NOWHERE)

    def difference(self, every: bool = False) -> str:
        """Say how the file's ids and columns differ from all answers, and from those that count; empty: they don't.

        every: only all answers will do.
        """
        table, difference = self.addresses.table, ""
        for asked in (None,) if every or table.asked.all() else (None, table.asked):
            ids = _distinct(self.addresses.ids)
            expected = pl.concat(each if asked is None else each.filter(pl.Series(asked)) for each in ids).drop_nulls()
            found = identity.difference(self.ids, expected.unique()) or self._gap(asked)
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
        if lacking.any():
            answer, number = np.argwhere(lacking)[0]
            column = self.addresses.columns[number]
            name = column if isinstance(column, str) else column[int(answer)]
            return f"has no column {name} for {self.ids.name} {self.addresses.ids[number][int(answer)]}"
        return ""


def _names_target(data: DataConfig) -> bool:
    """Whether ids or columns tell the numbers of an answer apart."""
    return any(template.names_target for template in data.templates)


def _refuse_one_column(columns: NameTemplate, data: DataConfig, names: Sequence[str]) -> None:
    """Refuse one column of the submission for several numbers of an answer."""
    if len(names) > 1 and columns.text and not _names_target(data):
        raise UserError(
            f"data.column_template = {data.column_template!r} must hold {{target}}, because an answer has "
            f"{len(names)} numbers: {shortened(names)}."
        )


def _submits_labels(task: Task, sample: Sequence[str] | None) -> bool:
    """Whether a submission holds labels. Of several classes one column means labels, one for each probabilities."""
    data = task.data
    if data.kind not in WITH_LABELS:
        return False
    if data.kind == "multiclass":
        if _names_target(data):
            return False
        if not data.column_template and sample is not None and data.target[0] not in sample:
            return False
    return task.submits_labels


def _columns(
    task: Task, names: Sequence[str], template: NameTemplate, sample: Sequence[str] | None, path: Path | None
) -> Sequence[str]:
    """Find the column of each number of an answer where it is the same for all answers."""
    data = task.data
    if template.text:
        return [template.constant(name) for name in names]
    if sample is None or data.kind != "multiclass" or tuple(names) == data.target:
        return names
    if data.target[0] in sample:
        if set(names) <= set(sample):
            return names
        raise UserError(
            f"{path} has the column {data.target[0]!r}, for labels, but {data.metric} scores probabilities, a "
            "column for each class: name the competition's own metric, or take the sample that belongs to this one."
        )
    return [_column_of(name, sample, data.id, path) for name in names]


def _column_of(name: str, sample: Sequence[str], row_id: str, path: Path | None) -> str:
    """Find the column of a class: called like it, or ending in it behind an underscore, as Status_C of the class C."""
    others = [column for column in sample if column != row_id]
    found = [column for column in others if column == name] or [
        column for column in others if column.endswith(f"_{name}")
    ]
    if len(found) == 1:
        return found[0]
    raise UserError(
        f"{path} must have the target's column, for labels, or one column for each class, for probabilities, but has "
        f"{'no column' if not found else 'several columns'} for the class {name!r}; it has {shortened(list(sample))}."
    )


def _distinct(ids: Sequence[pl.Series]) -> list[pl.Series]:
    """Return the columns of ids that are not one and the same object."""
    return list({id(each): each for each in ids}.values())


def _in_file_order(addresses: Addresses, columns: Sequence[str]) -> tuple[pl.Series, np.ndarray]:
    """Lay a submission out without a sample: its ids, in the order of the test file, and its cells."""
    moved, count = None if addresses.table.task.on_series else addresses.table.file_rows, len(addresses.names)
    answers = np.arange(addresses.answers) if moved is None else np.argsort(moved)
    ids = [each.gather(answers) for each in _distinct(addresses.ids)]
    if len(ids) == 1 and len(columns) == count and all(isinstance(column, str) for column in addresses.columns):
        return ids[0], answers[:, None] * count + np.arange(count)  # a row an answer
    rows = pl.concat(pl.DataFrame({"id": each, "answer": np.arange(addresses.answers)}) for each in ids)
    listed = rows.sort("answer", maintain_order=True)["id"].drop_nulls().unique(maintain_order=True)
    listed = listed.alias(addresses.table.data.id)
    return listed, _cells(addresses, listed, columns)


def _cells(addresses: Addresses, ids: pl.Series, columns: Sequence[str]) -> np.ndarray:
    """Find the prediction of each row and column: (rows, V) int64."""
    cells = np.full((ids.len(), len(columns)), NOWHERE)
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
