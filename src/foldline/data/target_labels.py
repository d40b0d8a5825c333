"""Targets of the training table: columns of its own file, or a file of their own with one row a series."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from foldline.core.errors import UserError
from foldline.data import assemble, identity, on_disk, readers, source_folder
from foldline.data.assemble import Source
from foldline.data.roles import DataConfig
from foldline.data.task import WITH_LABELS, Task


def wanted(data: DataConfig) -> readers.Wanted:
    """Return the target's columns and how they are read: numbers, or labels in the normal form of names."""
    labels = data.kind in WITH_LABELS or data.kind == "multilabel"
    return dict.fromkeys(data.target, None if labels else pl.Float64())


def of_training(data: DataConfig) -> readers.Wanted:
    """Return the columns of the target and of auxiliary ones, likewise."""
    found = wanted(data)
    for each in data.auxiliary:
        found |= wanted(data.of_auxiliary(each))
    return found


def read(path: Path, columns: readers.Wanted, data: DataConfig) -> pl.DataFrame:
    """Read columns of a file, targets among them, whose labels come out in their normal form, NaN as missing.

    Raises:
        UserError: as `readers.read`; a label is infinite.
    """
    return in_normal_form(path, readers.read(path, columns), data)


def in_normal_form(path: Path, frame: pl.DataFrame, data: DataConfig) -> pl.DataFrame:
    """Return a table as it was read with its labels, if it has any, in their normal form, NaN as missing.

    path: of the table, for messages.

    Raises:
        UserError: a label is infinite.
    """
    for name in (name for name, kind in of_training(data).items() if name in frame.columns and kind is None):
        if frame[name].dtype.is_float():  # it stays so where a value is not finite: pandas has NaN for no label
            if frame[name].is_infinite().any():
                raise UserError(f"{path}: {name!r} must hold labels, but holds inf. Mend it, or empty it: unlabelled.")
            frame = frame.with_columns(on_disk.kept(identity.normal(frame[name].fill_nan(None))))
    return frame


def joined(frame: pl.DataFrame, source: Source, data: DataConfig) -> pl.DataFrame:
    """Give each row of a training table the targets of its series, from the file data.labels in the same folder.

    A series that the file does not name has no target: it is unlabelled.

    Raises:
        UserError: the file is not there, names a series twice, or one that the table does not have.
    """
    path, found = source.path, readers.locate(source.folder, data.labels)
    columns = of_training(data)
    labels = read(found, {data.key: None, **columns}, data)
    if labels[data.key].null_count():
        row = int(labels[data.key].is_null().arg_true()[0])
        raise UserError(f"{found} must name a series in each row, but {data.key!r} is empty in row {row + 1}.")
    keys = identity.texts(labels[data.key])
    if keys.is_duplicated().any():
        twice = labels[data.key].filter(keys.is_duplicated())[0]
        raise UserError(f"{found} must name each series once, but names {data.key} {twice} more than once.")
    rows = identity.texts(frame[data.key])
    odd = set(keys) - set(on_disk.distinct(rows))
    if odd:
        raise UserError(
            f"{found} must name series of {path}, but names {len(odd)} that are not there (first: {data.key} "
            f"{min(odd)}). Take both files from one download."
        )
    places = identity.places(rows, labels[data.key])
    return frame.with_columns(on_disk.kept(labels[name].gather(places)) for name in columns)


def classes(data: DataConfig) -> tuple[object, ...]:
    """Return the labels of the target, where it has any: those of data.classes, else those that training files hold.

    Raises:
        UserError: a training file can't be read, or holds no labels as data.kind wants them.
    """
    if data.kind not in WITH_LABELS:
        return ()
    if data.classes:
        return tuple(identity.normal(pl.Series(data.classes)).to_list())
    folder, columns = source_folder.of(data), wanted(data)
    if data.labels:
        path = readers.locate(folder, data.labels)
        return Task.of(data, read(path, columns, data), path).classes
    source = assemble.source_of(data, folder, "train")
    frame = in_normal_form(source.path, source.read(columns).frame, data)
    return Task.of(data, frame, source.path).classes
