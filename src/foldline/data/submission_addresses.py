"""Where a prediction stands in a submission: its *address*, an id and a column.

The id is a value of the table's column data.id, or is made by data.id_template, for instance "{ride}_{step}", and may
then stand for another one by a key file (data.id_file). The column is the target's, or made by data.column_template:
one a class, one a step ("F{step + 1}"), or the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import submission_ids
from foldline.data.name_template import NameTemplate
from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.data.task import WITH_LABELS, Task


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
        names = (
            [one] if isinstance(one, str) else one.drop_nulls().unique(maintain_order=True) for one in self.columns
        )
        return list(dict.fromkeys(name for each in names for name in each))

    def in_column(self, name: str) -> list[tuple[int, np.ndarray | None]]:
        """List which predictions stand in a column: the number in each answer, and the answers, None: all."""
        found: list[tuple[int, np.ndarray | None]] = []
        for number, column in enumerate(self.columns):
            if isinstance(column, str):
                found += [(number, None)] if column == name else []
            else:
                found.append((number, np.flatnonzero((column == name).fill_null(False))))
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
