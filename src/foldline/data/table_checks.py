"""Checks of a table when it is read; each refusal names the rule, the row and the way out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.data.times import Clock


def values(path: Path, frame: pl.DataFrame, data: DataConfig, numbers: list[str]) -> None:
    """Refuse values that are missing or not finite, and row ids that are not unique. Inputs may be missing (NaN).

    Args:
        path: for messages.
        frame: columns with a role, in the order of the file.
        numbers: columns that must be finite.

    Raises:
        UserError
    """
    named = data.id if data.id in frame.columns else data.key  # ids may yet have to be made
    for name in frame.columns:
        column = frame[name]
        if name in data.static or name in data.categorical:
            continue  # static_levels.py: it may be missing
        number = (name in numbers or column.dtype.is_float()) and not column.dtype.is_temporal()
        if name in data.numeric_inputs and name != data.weight:
            bad = column.is_infinite()
            way_out = "Write the right number, or leave the cell empty: inputs may be missing."
        else:
            bad = column.is_null() | ~column.is_finite() if number else column.is_null()
            way_out = "Write it: only inputs may be missing, and the pipeline never guesses."
        if bad.any():
            row = int(bad.arg_true()[0])
            rule = "be a finite number" if number else "have a value"
            shown = "empty" if column[row] is None else column[row]
            count = int(bad.sum())
            rows = "1 such row" if count == 1 else f"{count} such rows"
            raise UserError(
                f"{path}, row {row + 1} ({named} {frame[named][row]}): {name!r} must {rule}, but is {shown}; "
                f"{rows}. {way_out}"
            )
    if named == data.key or data.templates[1].columns or data.on_series:
        return  # a series has one row in the submission
    if frame[data.id].n_unique() < frame.height:
        value = frame[data.id].filter(frame[data.id].is_duplicated())[0]
        times = int((frame[data.id] == value).sum())
        raise UserError(
            f"{path}: {data.id!r} must name each row once, but {value} comes {times} times. "
            "Name a column as id that differs in each row, or number the rows."
        )


def series(table: Table) -> None:
    """Refuse a series whose order column does not increase, or whose static columns change.

    Raises:
        UserError
    """
    data, frame = table.data, table.frame
    increasing(table.path, frame, table.starts, data, table.named)
    constant(table, data.static, "is static", "List it under inputs instead.")
    if table.task.on_series and not data.id_template:
        constant(table, [data.id], "is the id of a series", "Take data.level = 'step', or mend that series.")
    if data.weight and data.weight in frame.columns:
        _weights(table)
    if data.group and data.group in frame.columns:
        constant(table, [data.group], "is the group of a series", "Mend that series, or name another data.group.")
        _grouped(table)
    if table.labelled:
        _metric_columns(table)


def _metric_columns(table: Table) -> None:
    """Refuse the order for a metric file where it counts from the start of each series: it would read no dates."""
    data = table.data
    if data.order in data.metric_columns and (table.since_start or data.level == "window"):
        raise UserError(
            f"{table.path}: data.metric_columns names {data.order!r}, which counts from the start of each series here. "
            f'Give it a second name by copies = {{{data.order}_too = "{data.order}"}}, and name that.'
        )


def _grouped(table: Table) -> None:
    """Refuse a training series without a group: other static columns may be missing, but folds go by this one."""
    missing = table.frame[table.data.group].gather(table.starts).is_null()
    if table.labelled and missing.any():
        key = f"{table.data.key} {table.keys[int(missing.arg_true()[0])]}"
        raise UserError(
            f"{table.path}: {table.data.group!r} is the group of a series and must have a value, but is empty in "
            f"{key}; {int(missing.sum())} such series. Write it, or name another data.group."
        )


def same_clock(train: Table, test: Table) -> None:
    """Refuse dates as order in one table and numbers in the other.

    Raises:
        UserError
    """
    if train.of_dates != test.of_dates and train.since_start == test.since_start:
        raise UserError(
            f"{test.path}: {test.data.order!r} must be of the kind that it is in {train.path}, but only "
            f"{train.path if train.of_dates else test.path} holds dates or times. Write both alike."
        )
    if train.since_start != test.since_start:
        raise UserError(
            f"{test.path}: {test.data.order!r} must be of the kind that it is in {train.path}, but dates, times or "
            f"numbers above 2^53 stand only in {train.path if train.since_start else test.path}. Write both alike."
        )


def trained_clock(test: Table, trained: Clock | None) -> None:
    """Refuse an order of another kind than training had: its times would mean something else to each model.

    trained: None: an older record does not say it.

    Raises:
        UserError
    """
    if trained is not None and test.clock != trained:
        raise UserError(
            f"{test.path}: {test.data.order!r} must be of the kind that it was in training, {trained.in_words}, but "
            f"holds {test.clock.in_words}. Write it as there, or train on files like this one."
        )


def increasing(
    path: Path,
    frame: pl.DataFrame,
    starts: np.ndarray,
    data: DataConfig,
    named: Callable[[int], str] | None = None,
) -> None:
    """Refuse a series whose order column does not increase.

    Args:
        path: for messages. named: names a row of the frame there.
        starts: (N,) row of the frame with which each series starts.

    Raises:
        UserError
    """
    order, inside = frame[data.order], np.ones(frame.height, dtype=bool)
    inside[starts] = False
    backwards = (order <= order.shift(1)).fill_null(False).to_numpy() & inside
    if backwards.any():
        row = int(np.flatnonzero(backwards)[0])
        where = "" if named is None else f" ({named(row)})"
        way_out = "Sort or mend that series."
        if path.parent == data.code_path:  # a table of tables()
            way_out = (
                "Sort the frame that tables() returns: lazy joins and groups of polars keep no order unless they say "
                "maintain_order."
            )
        raise UserError(
            f"{path}: {data.order!r} must increase inside a series, but in {data.key} {frame[data.key][row]} "
            f"it goes from {order[row - 1]} to {order[row]}{where}. {way_out}"
        )


def _weights(table: Table) -> None:
    """Refuse weights below 0, or all 0; at the level "series" those that change inside a series."""
    name, weight = table.data.weight, table.frame[table.data.weight]
    if (weight < 0).any():
        row = int((weight < 0).arg_true()[0])
        key = f"{table.data.key} {table.frame[table.data.key][row]}"
        raise UserError(
            f"{table.path}: {name!r} is the weight of a row and must not be below 0, but is {weight[row]:g} in {key}; "
            f"{int((weight < 0).sum())} such rows. Mend it, or drop data.weight."
        )
    if not (weight > 0).any():
        raise UserError(f"{table.path}: {name!r} is 0 in all rows, so that none counts. Drop data.weight.")
    if table.data.on_series:
        way_out = "Take data.level = 'step', or mend that series."
        if table.data.level == "window":
            way_out = "Take windows.answer = 'last' or 'first', which take the weight of that row, or mend the series."
        constant(table, [name], "is the weight of a series", way_out)


def constant(table: Table, names: Sequence[str], why: str, way_out: str) -> None:
    """Refuse columns that change inside a series.

    Raises:
        UserError
    """
    data, frame = table.data, table.frame
    inside = np.ones(frame.height, dtype=bool)
    inside[table.starts] = False
    for name in names:
        changed = frame[name].ne_missing(frame[name].shift(1)).to_numpy() & inside
        if changed.any():
            row = int(np.flatnonzero(changed)[0])
            raise UserError(
                f"{table.path}: {name!r} {why}, so it must be constant inside a series, but in {data.key} "
                f"{frame[data.key][row]} it changes from {frame[name][row - 1]} to {frame[name][row]}. {way_out}"
            )


def targets(table: Table) -> None:
    """Refuse targets of a training table that are missing where they are scored, infinite, or all missing.

    A series without any target is unlabelled: it is read, and not learned from; one that has some of its targets is
    not, unless it is a past to go on from, or data.missing_targets says that such steps are not scored. At the level
    "series" a target must not change inside a series.

    Raises:
        UserError
    """
    data, missing = table.data, np.isnan(table.y).any(axis=1)
    if np.isinf(table.y).any():
        _refuse_target(table, np.isinf(table.y).any(axis=1), "be a finite number")
    given = np.logical_or.reduce([~_empty(table.answers[name]) for name in data.target])
    labelled = np.add.reduceat(given & table.asked, _first_answers(table), dtype=np.int64) > 0
    gaps = missing & table.asked & np.repeat(labelled, table.answers_of_series)
    if gaps.any() and not data.known_column and data.missing_targets == "refused":  # a past with gaps is a past
        _refuse_target(table, gaps, "be a finite number" if table.task.is_numeric else "have a value")
    if not (labelled.any() and table.scored.any()):
        raise UserError(f"{table.path}: no series has a target at a scored row: there is nothing to learn from.")
    for task, values in table.auxiliary:
        if np.isinf(values).any():
            raise UserError(
                f"{table.path}: {task.data.target[0]!r} must be a finite number or missing, but is infinite."
            )
    if table.task.on_series:
        constant(
            table,
            [*data.target, *data.auxiliary_columns],
            "is the answer of a series",
            "Take data.level = 'step', or mend that series.",
        )


def _first_answers(table: Table) -> np.ndarray:
    """Return the first answer of each series, (N,) int64."""
    return np.asarray(np.cumsum(table.answers_of_series) - table.answers_of_series)


def _empty(column: pl.Series) -> np.ndarray:
    """Return where a target is missing, (A,) bool."""
    empty = column.is_null() | column.is_nan() if column.dtype.is_float() else column.is_null()
    return np.asarray(empty.to_numpy())


def _refuse_target(table: Table, bad: np.ndarray, rule: str) -> None:
    """Refuse the target of the first bad answer. bad: (A,) bool."""
    data, row, count = table.data, int(np.flatnonzero(bad)[0]), int(bad.sum())
    found = {name: table.answers[name][row] for name in data.target}
    name = next(name for name, value in found.items() if value is None or value in (np.inf, -np.inf) or value != value)
    shown, gap = "empty" if found[name] is None else found[name], found[name] not in (np.inf, -np.inf)
    if table.task.on_series:
        where, what, left_out = "in a series that has a target", "series", ""
    else:
        where, what, left_out = "where the row is scored", "row", ", leave these rows out of data.scored"
        left_out += ", or out of the score by data.missing_targets = 'unscored'" if gap else ""
    rows = f"1 such {what}" if count == 1 else f"{count} such {what}" + ("" if what == "series" else "s")
    named = table.named(int(table.row_of_answer[row]))
    raise UserError(
        f"{table.path}, {named}: {name!r} must {rule} {where}, but is {shown}; {rows}. "
        f"Fill {'it' if count == 1 else 'them'}{left_out}, or empty all targets of the whole series: it is then "
        "unlabelled."
    )


def scored(table: Table) -> None:
    """Refuse a data.scored that is no condition on a row's own values (scored_rows.py), or leaves nothing to score.

    Raises:
        UserError
    """
    data = table.data
    if data.known and table.eligible.any() and not table.asked.any():
        raise UserError(
            f"{table.path}: all rows that would be scored have {', '.join(data.known)}, which data.known names: "
            "nothing is left to predict. Empty it where the target is wanted."
        )
    if not data.scored:
        if not table.asked.any():
            raise UserError(
                f"{table.path}: no series is longer than data.observed = {data.observed!r}: nothing to score."
            )
        return
    if not table.asked.any():
        behind = f" behind the {data.observed!r} observed steps" if data.observed else ""
        raise UserError(
            f"{table.path}: no row{behind} fulfils data.scored = {data.scored!r}, so there is nothing to score."
        )
