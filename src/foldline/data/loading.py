"""Load a competition: read its files, give columns their roles, check everything once.

A *series* is one group of rows in time order (a breath, a ride). [data] says which column plays which role; there may
be any number of series of any lengths. Checks happen here, before anything is trained or written: later code relies on
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data import (
    assemble,
    forecast,
    identity,
    known_start,
    known_values,
    on_disk,
    resample,
    sample_submission,
    source_folder,
    static_levels,
    submission_ids,
    table_checks,
    target_labels,
    times,
    window_cuts,
    window_file,
)
from foldline.data.assemble import Source, Sources
from foldline.data.column_facts import COMPLETE, ColumnFacts
from foldline.data.file_table import Rows
from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.data.table_columns import TableColumns
from foldline.data.task import Task
from foldline.data.window_file import WindowFile

Levels = dict[str, tuple[object, ...]]  # static column -> its known values, sorted; none where it is a number


@dataclass(frozen=True)
class Competition:
    """Train and test tables and the sample submission, all checked."""

    data: DataConfig
    train: Table
    test: Table
    sample: pl.DataFrame | None  # None: there is none
    levels: Levels  # of the training table; a value that only the test table has is treated as unknown

    @property
    def task(self) -> Task:
        """What an answer is."""
        return self.train.task


def load(data: DataConfig, on_read: Callable[[float, float], None] | None = None) -> Competition:
    """Read and check a whole competition.

    Args:
        on_read: called with (MB that are read, MB in all) after the training table; tables in an archive have no size.

    Raises:
        UserError: something is wrong with the files.
    """
    source = source_folder.of(data)
    sources = Sources(data, source)
    parts = [sources.of(part) for part in ("train", "test")]
    whole = whole_series(parts[0], data, labelled=True)
    train = forecast.training_windows(whole) if data.forecast.on else whole
    if on_read is not None and source.is_dir():
        sizes = [each.megabytes() for each in parts]
        on_read(sizes[0], sum(sizes))
    levels = static_levels.of(whole.frame, (*data.static, *data.categorical_inputs), whole.facts.numbers)
    test, sample = load_test(data, levels, train.classes, train.facts, whole, sources)
    train = known_values.of_training(train, test)
    table_checks.same_clock(train, test)
    if data.forecast.on:
        return Competition(data, train, test, sample, levels)
    ours, theirs = identity.texts(train.keys), identity.texts(test.keys)
    shared = theirs.filter(theirs.is_in(ours.implode()))
    if len(shared):
        raise UserError(
            f"{test.path}: a test series must not be in the training data too, but {len(shared)} are "
            f"(first: {data.key} {min(shared)}). Where they are others, give them names of their own; where test is "
            "the future of series in train, say so: data.forecast = {history = 100, horizon = 28}, numbers of rows."
        )
    return Competition(data, train, test, sample, levels)


def load_test(
    data: DataConfig,
    levels: Levels,
    classes: tuple[object, ...] = (),
    facts: ColumnFacts = COMPLETE,
    history: Table | None = None,
    sources: Sources | None = None,
) -> tuple[Table, pl.DataFrame | None]:
    """Read and check only the test table and the sample submission: what inference needs.

    Args:
        levels, classes, facts: of the training table.
        history: whole series of that table, which a forecast goes on from. None: they are read, as new ones.
        sources: of the competition's tables, if they have been asked for before.

    Raises:
        UserError: something is wrong with the files.
    """
    sources = sources or Sources(data, source_folder.of(data))
    found = sources.of("test")
    if data.forecast.on:
        forecast.check_columns(found.path, found.columns(), data)
    test = whole_series(found, data, labelled=False, levels=levels, classes=classes, facts=facts)
    test = submission_ids.with_id_file(test, sources.folder)
    if data.forecast.on:
        if history is None:
            history = whole_series(
                sources.of("train"), data, labelled=True, levels=levels, classes=classes, facts=facts
            )
        test = forecast.test_windows(history, test)
    return test, sample_submission.load(sources, test)


def load_table(
    source: Source | Path,
    data: DataConfig,
    labelled: bool,
    levels: Levels | None = None,
    facts: ColumnFacts | None = None,
    classes: tuple[object, ...] | None = None,
) -> Table:
    """Read a table and check it (table_checks.py); of a forecast the windows of a training table (forecast.py).

    Arguments and errors are those of `whole_series`.
    """
    table = whole_series(source, data, labelled, levels, classes, facts)
    return forecast.training_windows(table) if labelled and data.forecast.on else table


def whole_series(
    source: Source | Path,
    data: DataConfig,
    labelled: bool,
    levels: Levels | None = None,
    classes: tuple[object, ...] | None = None,
    facts: ColumnFacts | None = None,
) -> Table:
    """Read a table of whole series and check it.

    Args:
        source: where it comes from (assemble.py), or the path of its only file.
        labelled: whether it must have the targets: a training table.
        levels: known values of the static columns, whose type they are read as: a test table may hold only the ward 7
            where the training table's wards are names, and then 7 is text. None: their type is that of their values.
        classes: labels of the target in the training table, where it has any. None: those that this table holds.
        facts: of the training table. None: this is it.

    Raises:
        UserError: something is wrong with the file.
    """
    source = assemble.of_file(source) if isinstance(source, Path) else source
    columns = TableColumns.of(source, data, labelled)
    windows = window_file.read(source, data) if columns.cuts else None
    frame, empty = _read(source, data, columns, windows)
    frame, lengths, file_rows = _by_series(frame, data.key)
    note = ""
    if columns.cuts:
        cut = window_cuts.cut(source.path, frame, lengths, data, windows)
        file_rows = cut.rows if file_rows is None else file_rows[cut.rows]
        of_labels = target_labels.of_training(data) if data.labels else {}
        frame, lengths, note = cut.frame[list(columns.all | of_labels)], cut.lengths, cut.note
    frame = frame.with_columns(static_levels.typed_all(frame, data, levels, source.path))
    frame = frame.with_columns(on_disk.kept(as_read(frame[name])) for name in columns.of_metric)
    if labelled and classes is None:
        classes = Task.of(data, frame, source.path).classes
    kind, names = frame[data.order].dtype, _naming(frame, data, columns)
    moments = frame[data.order] if kind != pl.Float64 and data.known_column else None
    frame = frame.drop(name for name in columns.naming if name not in columns.roles)
    frame = times.since_start(frame, data.order, data.key, data.level == "window")
    table = Table(
        source.path,
        data,
        frame,
        lengths,
        file_rows,
        classes=classes or (),
        facts=ColumnFacts.of(data, frame, lengths) if facts is None else facts,
        source=source,
        since_start=kind != pl.Float64,
        of_dates=isinstance(kind, pl.Datetime),
        empty=empty,
        naming=names,
        moments=moments,
        cut=note,
    )
    table = _checked(submission_ids.with_row_ids(table, columns.has_ids), columns)
    if not data.shortens:
        return table
    table = resample.applied(table)
    return table if facts is not None else replace(table, facts=ColumnFacts.of(data, table.frame, table.lengths))


def _read(
    source: Source, data: DataConfig, columns: TableColumns, windows: WindowFile | None
) -> tuple[pl.DataFrame, Sequence[Path]]:
    """Read a table's rows, check their values, and give each its target.

    windows: the file of windows that it is cut into, if there is one.

    Returns:
        The rows, in the order of the files; files that have none.
    """
    not_read = window_cuts.not_read(data, windows) if columns.cuts else []
    rows = source.read({name: kind for name, kind in columns.all.items() if name not in not_read})
    frame = target_labels.in_normal_form(source.path, rows.frame, data)
    lacking = [frame[name] for name in data.numeric_inputs if frame[name].null_count()]
    frame = frame.with_columns(on_disk.kept(column.fill_null(float("nan"))) for column in lacking)  # one form of it
    if columns.labelled and data.labels:
        frame = target_labels.joined(frame, source, data)
    inputs = frame.drop(*data.target, *data.auxiliary_columns, *data.known, strict=False)
    numbers = [data.order, *(name for name in columns.numbers if name in frame)]
    _check_values(source.path, replace(rows, frame=inputs), data, numbers)
    return frame, rows.empty


def _naming(frame: pl.DataFrame, data: DataConfig, columns: TableColumns) -> pl.DataFrame | None:
    """Return the columns that ids are made of, as the file has them: an order of dates changes afterwards."""
    dates = frame[data.order].dtype != pl.Float64 and data.order in data.template_columns
    kept = [*columns.naming, *([data.order] if dates else [])]
    return frame.select(times.printed(frame[name]) for name in kept) if kept else None


def _checked(table: Table, columns: TableColumns) -> Table:
    """Check series, rows that count and targets; take what is known of the target out of a test table."""
    data = table.data
    known_start.check_counts(table)
    if columns.labelled and isinstance(data.observed, str):
        table = replace(table, facts=replace(table.facts, most_known=int(table.known_steps.max())))
    if columns.starts:
        table = known_start.read_from(table)
    if columns.knows:
        table = known_values.read_from(table, columns.labelled)
    table_checks.series(table)
    if data.level == "window" and not columns.labelled:
        window_cuts.check_test(table)
    table_checks.scored(table)
    if columns.labelled:
        table_checks.targets(table)
    return table


def _check_values(path: Path, rows: Rows, data: DataConfig, numbers: list[str]) -> None:
    """Check values; of a table of several files the error names the file, and the row in it."""
    try:
        table_checks.values(path, rows.frame, data, numbers)
    except UserError:
        for file, part in rows.by_file():
            table_checks.values(file, part, data, numbers)
        raise


def as_read(column: pl.Series) -> pl.Series:
    """Return texts as numbers where all of them are, as other readers of the file have them."""
    for kind in (pl.Int64, pl.Float64):
        cast = column.cast(kind, strict=False)
        if cast.null_count() == column.null_count():
            return cast
    return column


def _by_series(frame: pl.DataFrame, key: str) -> tuple[pl.DataFrame, np.ndarray, np.ndarray | None]:
    """Bring the rows of each series together, in order of first appearance; the order inside a series is kept.

    Returns:
        The frame; the series' lengths, (N,) int64; the former place of each row, (rows,), or None if none was moved.
    """
    begin, rows = _begins(frame[key]), None
    if frame[key].gather(begin).is_duplicated().any():
        rows = np.argsort(_first_places(frame[key]), kind="stable")
        frame = on_disk.kept_all(column.gather(rows) for column in frame)
        begin = _begins(frame[key])
    return frame, np.diff(begin, append=frame.height).astype(np.int64), rows


def _begins(keys: pl.Series) -> np.ndarray:
    """Return the rows whose key is another than the row's before, (n,) int64; without a copy of long columns."""
    return np.append(0, np.flatnonzero((keys[1:] != keys[:-1]).to_numpy()) + 1)


def _first_places(keys: pl.Series) -> np.ndarray:
    """Return the row in which the key of each row stands first, (rows,) UInt32."""
    table = pl.LazyFrame({"key": keys}).with_row_index("row")
    first = table.group_by("key", maintain_order=True).agg(first=pl.col("row").min())
    return table.join(first, on="key", how="left", maintain_order="left").select("first").collect()["first"].to_numpy()
