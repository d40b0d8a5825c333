"""The ids of a submission: a column of the table, or made of its columns by data.id_template and data.id_file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import identity, on_disk, readers
from foldline.data.assemble import Source
from foldline.data.name_template import STEP
from foldline.data.roles import DataConfig
from foldline.data.table import Table


def wanted(source: Source, data: DataConfig, labelled: bool) -> readers.Wanted:
    """Return the columns that only ids are made of: of a training table, whose rows nobody asks for, where it has them.

    source: of the table.
    """
    names = [name for name in data.naming if name != STEP]
    if not names or (labelled and not set(names) <= set(source.columns())):
        return {}
    return dict.fromkeys(names, None)


def with_row_ids(table: Table, has_ids: bool) -> Table:
    """Give the rows of a table without a column of ids the ids of the template, or stand-ins.

    These are the numbers of rows in the file, from 0, and where a series has one answer the names of series.
    """
    data, (template, _) = table.data, table.data.templates
    if has_ids:
        return table
    if table.task.on_series:
        names = on_disk.kept(table.frame[data.key].alias(data.id))
        return replace(table, frame=pl.DataFrame([names, *table.frame]))
    rows = np.arange(table.frame.height) if table.file_rows is None else table.file_rows
    ids, there = pl.Series(data.id, rows), {STEP, *table.frame.columns}
    there |= set() if table.naming is None else set(table.naming.columns)
    one_row_each = data.id_template and not (template.names_target or data.templates[1].columns)
    made = bool(one_row_each) and set(template.columns) <= there
    if made:
        ids = identity.normal(template.names(naming_rows(table), "")).alias(data.id)
    return replace(table, frame=pl.DataFrame([on_disk.kept(ids), *table.frame]), numbered=not made)


def naming_rows(table: Table) -> pl.DataFrame:
    """Return the row of each answer with all columns that templates name, (A, columns).

    Raises:
        UserError: the table lacks one.
    """
    rows = table.frame
    if table.naming is not None:
        rows = rows.with_columns(table.naming)
    if STEP in table.data.template_columns and STEP not in rows.columns:
        rows = rows.with_columns(pl.Series(STEP, table.step))
    lacking = [name for template in table.data.templates for name in template.columns if name not in rows.columns]
    if lacking:
        raise UserError(
            f"{table.path} lacks {lacking[0]!r}, which data.id_template or data.column_template names: add it, as the "
            "test table has it."
        )
    return table.of_answers(rows)


def of_answers(table: Table, rows: pl.DataFrame, names: Sequence[str]) -> tuple[pl.Series, ...]:
    """Return the ids of each number of an answer: (C,), each (A,)."""
    data, template = table.data, table.data.templates[0]
    if not data.id_template:
        return (_of_test(table, rows[data.id]),) * len(names)
    made = [template.names(rows, name) for name in (names if template.names_target else names[:1])]
    if table.id_file is not None:
        known = table.id_file
        made = [known[data.id].gather(identity.places(each, known["name"])) for each in made]
    made = [_of_test(table, each) for each in made]
    return tuple(made) if template.names_target else (made[0],) * len(names)


def _of_test(table: Table, ids: pl.Series) -> pl.Series:
    """Leave out the ids of rows that the training file gave: nobody asks for them."""
    return ids if table.of_train is None else ids.set(pl.Series(table.of_train), None)


def with_id_file(table: Table, folder: Path) -> Table:
    """Read which id stands for which name, where data.id_file says so: of test rows only. folder: of the file.

    Raises:
        UserError: it is not there, has other columns than these two, or names something twice.
    """
    data = table.data
    if not data.id_file:
        return table
    path = readers.locate(folder, data.id_file)
    columns = readers.columns(path)
    if len(columns) != 2 or data.id not in columns:
        raise UserError(
            f"{path}, which data.id_file names, must have two columns, {data.id} and that of the names, but has "
            f"{shortened(columns)}."
        )
    name = next(column for column in columns if column != data.id)
    found = readers.read(path, {name: None, data.id: None}).rename({name: "name"})
    if found["name"].is_duplicated().any():
        twice = found["name"].filter(found["name"].is_duplicated())[0]
        raise UserError(f"{path} must give each name one id, but has {twice} more than once.")
    return replace(table, id_file=found)
