"""The truth of a submission: a table of the rows that count, with all that the metric needs to know of them.

It has the row ids or the columns that they are made of (data.id_template), the targets, the columns of data.scored, key
and order for data.observed, and the columns of data.known that are not the target's; data.weight where the metric has
weights, data.group where it averages over groups, and data.metric_columns for a metric file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl

from foldline.core.errors import UserError
from foldline.data import identity, loading, readers, scored_rows, static_levels, target_labels, times
from foldline.data.metrics import Metric
from foldline.data.name_template import STEP
from foldline.data.roles import DataConfig

USAGE = "Usage"  # column of a solution file: the leaderboard that a row counts for


def with_its_ids(data: DataConfig, path: Path) -> DataConfig:
    """Leave out how ids are made, where the truth has them itself."""
    made = data.id_template and not data.column_template
    return replace(data, id_template="", id_file="") if made and data.id in readers.columns(path) else data


def read(data: DataConfig, metric: Metric, path: Path) -> pl.DataFrame:
    """Read the rows that count: id (text), targets, what the metric needs; key, group and Usage where they are there.

    Raises:
        UserError: the truth can't be read, or lacks a column or a value.
    """
    there = readers.columns(path)
    needed, apart = _needed_columns(data, metric, path, there), _known_apart(data)
    numbers: readers.Wanted = {
        n: pl.Float64() for n in needed if n in (*data.numeric_inputs, data.weight, data.observed, *apart)
    }
    numbers |= {data.order: readers.ORDER} if data.order in needed else {}
    numbers |= {name: readers.Numbers(markers) for name, markers in data.markers.items() if name in numbers}
    texts = (*data.static, *data.categorical_inputs)
    statics: readers.Wanted = {n: pl.String() for n in needed if n in texts and n not in numbers}
    more = [name for name in data.metric_columns if name not in (*numbers, *statics, *data.target)]
    names = [name for name in (data.key, data.group, *needed) if name in there and name not in (*numbers, *statics)]
    wanted: readers.Wanted = dict.fromkeys(names) | dict.fromkeys(more, pl.String())
    usage = {USAGE: pl.String()} if USAGE in there else {}
    wanted = wanted | statics | numbers | usage | target_labels.wanted(data)
    wanted |= {} if data.id_template else {data.id: None}
    frame = _with_ids(data, path, target_labels.read(path, wanted, data))
    frame = frame.with_columns(static_levels.typed(frame[name], None, path) for name in statics)
    frame = frame.with_columns(loading.as_read(frame[name]) for name in more)
    if data.order in frame.columns and data.key in frame.columns:
        frame = times.since_start(frame, data.order, data.key)
    if STEP in data.naming:
        frame = frame.with_columns((pl.col(data.order).rank("ordinal").over(data.key) - 1).alias(STEP))
    if data.observed:
        known = pl.col(data.observed) if isinstance(data.observed, str) else data.observed
        frame = frame.filter(pl.col(data.order).rank("ordinal").over(data.key) > known)
    if apart:
        frame = frame.filter(empty(frame, apart))
    if data.scored:
        frame = frame.filter(pl.Series(scored_rows.fulfilled(data, frame, path)))
    if usage:
        frame = frame.filter(pl.col(USAGE).ne_missing("Ignored"))
    return _checked(data, path, frame)


def _needed_columns(data: DataConfig, metric: Metric, path: Path, there: list[str]) -> list[str]:
    """List the columns that decide which rows count, and for what.

    Raises:
        UserError: the truth lacks one.
    """
    options, templates = metric.options, [name for template in data.templates for name in template.columns]
    by_step = [data.key, data.order] if STEP in data.naming else []
    weight = [data.weight] if data.weight and metric.weighted else []
    needs = (
        (
            scored_rows.names(data),
            f"data.scored = {data.scored!r}",
            "`data.scored=` where all of its rows count",
        ),
        (
            [data.key, data.order, *([data.known_column] if data.known_column else [])] if data.observed else [],
            f"data.observed = {data.observed!r}",
            "`data.observed=0` where no known start is among its rows",
        ),
        (
            _known_apart(data),
            f"data.known = {list(data.known)}",
            "`data.known=[]` where no known value is among its rows",
        ),
        (
            [*(name for name in templates if name != STEP or not by_step), *by_step],
            "data.id_template or data.column_template",
            "one with the ids",
        ),
        (weight, f"data.weight = {data.weight!r}", "`data.weight=` where all of its rows count alike"),
        (
            [] if options.groups == "pooled" else [data.group],
            f"data.metric_options.groups = {options.groups!r}",
            "`data.metric_options.groups=pooled` for the score of all rows together",
        ),
        (
            list(data.metric_columns),
            f"data.metric_columns = {list(data.metric_columns)}",
            "`data.metric_columns=[]` where the metric file can do without",
        ),
    )
    for names, option, otherwise in needs:
        lacking = sorted({*names} - {*there})
        if lacking:
            raise UserError(
                f"{path} lacks {', '.join(lacking)}, which {option} needs. Give a truth with it, or {otherwise}."
            )
    return list(dict.fromkeys(name for names, *_ in needs for name in names))


def _known_apart(data: DataConfig) -> list[str]:
    """List the columns of data.known that are not the target's: these the truth has in all rows that count."""
    return [name for name in data.known if name not in data.target]


def _with_ids(data: DataConfig, path: Path, frame: pl.DataFrame) -> pl.DataFrame:
    """Give rows the names that messages call them by: their ids, or their numbers where ids are yet to be made."""
    if data.id_template:
        return frame.with_row_index(data.id)
    return frame if data.templates[1].columns else identified(data, path, frame)


def identified(data: DataConfig, path: Path, frame: pl.DataFrame) -> pl.DataFrame:
    """Cast the ids to text, and check that each occurs once."""
    frame = frame.with_columns(identity.texts(frame[data.id]))
    if frame[data.id].is_duplicated().any():
        raise UserError(f"{path}: {data.id} must be unique, but some rows repeat one.")
    return frame


def _checked(data: DataConfig, path: Path, frame: pl.DataFrame) -> pl.DataFrame:
    """Check that there are rows that count, and that their targets are there."""
    if frame.height == 0:
        condition = f"data.scored = {data.scored!r}, data.observed = {data.observed!r}"
        raise UserError(f"{path}: no row counts by {condition}, so there is nothing to score.")
    unknown = frame.filter(empty(frame, data.target))
    if unknown.height:
        wanted = "a finite number" if frame.schema[data.target[0]].is_float() else "a label"
        raise UserError(
            f"{path}: the truth must be {wanted} in every row that counts, but is not in {unknown.height} "
            f"(first {data.id}: {unknown[data.id][0]}). Fill them, or leave these rows out."
        )
    return frame


def empty(frame: pl.DataFrame, names: Iterable[str]) -> pl.Expr:
    """Make the condition that a row lacks a value, or has one that is not finite."""
    floats = {name for name, kind in frame.schema.items() if kind.is_float()}
    return pl.any_horizontal(
        ~pl.col(name).is_finite().fill_null(False) if name in floats else pl.col(name).is_null() for name in names
    )
