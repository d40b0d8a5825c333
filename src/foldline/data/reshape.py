"""Helpers for tables() of a competition.py: other shapes of tables to one row a step. All are lazy: files that nobody
asks for are not opened.

    from foldline.data.reshape import join_asof, label_intervals, scan, to_long
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl
import polars.selectors as cs

Frame = pl.LazyFrame | pl.DataFrame
PLACE, TIME = "__place__", "__time__"  # helper columns: of a row in its table, and of its time as a float


def scan(path: Path, *, text: Sequence[str] = ()) -> pl.LazyFrame:
    """Read one file lazily; brackets and stars in its path mean nothing, where polars would take them for a pattern.

    Args:
        path: its ending says what it is: .csv (also .csv.gz), .parquet, or .json, .jsonl, .ndjson: one object a line.
            A folder called .parquet holds parts of a table; those in folders called name=value get that column.
        text: columns of a CSV file that stay as they are printed, such as 007.

    Raises:
        ValueError: another ending.
    """
    name = path.name.lower()
    if name.endswith((".csv", ".csv.gz")):
        types = dict.fromkeys(text, pl.String())
        return pl.scan_csv(path, glob=False, infer_schema_length=None, schema_overrides=types)
    if name.endswith(".parquet"):
        return pl.scan_parquet(path, glob=False, hive_partitioning=path.is_dir())
    if name.endswith((".json", ".jsonl", ".ndjson")):
        return pl.scan_ndjson(glob.escape(str(path)), infer_schema_length=None)  # it has no switch for patterns
    raise ValueError(f"{path}: scan reads .csv, .csv.gz, .parquet, .json, .jsonl and .ndjson; open others with polars.")


def to_long(
    table: Frame,
    *,
    order: str,
    arrays: Sequence[str] = (),
    json: Sequence[str] = (),
    wide: str = "",
    value: str = "value",
) -> pl.LazyFrame:
    """Make one row a step of a table with one row a series.

    Args:
        table: a wide table, or one with sequences in its cells, such as JSON lines (`pl.scan_ndjson`).
        order: name of the new column that counts the steps from 0; of a wide table it holds the columns' names.
        arrays: columns whose cells hold a sequence each: a list, or a text with one character a step. A row becomes as
            many rows as its longest sequence has steps; where another one is shorter, it is missing at the end.
        json: columns whose cells hold a list of numbers as text, "[0.5, 1.25]": likewise.
        wide: pattern (a regular expression) of the columns that hold one step each, as dates; instead of the two above.
        value: name of the new column with their values.

    Returns:
        A lazy frame; the other columns are repeated on each row of their series.

    Raises:
        ValueError: neither sequences nor wide columns are named, or both.
    """
    if bool(wide) == bool(arrays or json):
        raise ValueError(
            "to_long needs either arrays or json, whose cells hold sequences, or wide, a pattern of columns"
        )
    if wide:
        steps = cs.matches(wide)
        return table.lazy().unpivot(steps, index=~steps, variable_name=order, value_name=value)
    names = [*arrays, *json]

    def exploded(frame: pl.LazyFrame, schema: pl.Schema) -> pl.LazyFrame:
        texts = [name for name in arrays if schema[name] == pl.String]
        lists = frame.with_columns(
            *(pl.col(name).str.split("") for name in texts),
            *(pl.col(name).str.json_decode(pl.List(pl.Float64)) for name in json),
        )
        longest = pl.max_horizontal(pl.col(name).list.len() for name in names)
        numbered = lists.with_columns(pl.int_ranges(0, longest).alias(order))
        padded = (pl.col(name).list.gather(pl.col(order), null_on_oob=True) for name in names)
        return numbered.with_columns(padded).explode(order, *names)

    return table.lazy().pipe_with_schema(exploded)


def label_intervals(
    rows: Frame,
    intervals: Frame,
    *,
    on: str,
    order: str,
    start: str,
    end: str,
    label: str,
    labels: Sequence[str],
    closed: Literal["both", "left"] = "both",
) -> pl.LazyFrame:
    """Give each step a column of 0 and 1 for each label: whether it lies in an interval with it.

    Args:
        rows: one row a step. intervals: one row an interval; those without start or end are left out.
        on: column of both that names the series. order: time of a step, in the unit of start and end.
        start, end, label: columns of `intervals`. labels: which ones get a column, in this order.
        closed: whether an interval holds its end ("both") or not ("left"); it always holds its start.

    Returns:
        A lazy frame with the rows as they came and len(labels) more columns, Int8.
    """
    labelled = rows
    for name in labels:
        own = intervals.lazy().filter(pl.col(label) == name).drop_nulls([start, end])
        begun, ended = (_counted(own, on, time, count) for time, count in ((start, BEGUN), (end, ENDED)))
        labelled = join_asof(labelled, begun, on=on, order=order, other=TIME)
        labelled = join_asof(labelled, ended, on=on, order=order, other=TIME, exact=closed == "left")
        inside = pl.col(BEGUN).fill_null(0) > pl.col(ENDED).fill_null(0)
        labelled = labelled.with_columns(inside.cast(pl.Int8).alias(name)).drop(BEGUN, ENDED)
    return labelled.lazy()


BEGUN, ENDED = "__begun__", "__ended__"  # helper columns: intervals that have begun or ended by then


def _counted(intervals: pl.LazyFrame, on: str, time: str, count: str) -> pl.LazyFrame:
    """Count a series' intervals up to each of their times: columns `on`, TIME and `count`."""
    times = intervals.select(on, pl.col(time).cast(pl.Float64).alias(TIME)).sort(TIME)
    return times.with_columns(pl.int_range(1, pl.len() + 1).over(on).alias(count))


def join_asof(
    rows: Frame,
    table: Frame,
    *,
    on: str | Sequence[str],
    order: str,
    other: str = "",
    within: float | None = None,
    exact: bool = True,
) -> pl.LazyFrame:
    """Give each row the columns of the last row of `table` that is not later, of the same key.

    Nothing of the future reaches a row. Times are compared as floats, and neither table need be sorted.

    Args:
        rows, table: with the columns `on`, equal on both sides (a series, or several columns).
        order: time of a row; table has one of that name, or of the name `other`, which is dropped.
        within: how old that row may be at most, in the unit of `order`; None: as old as it is.
        exact: whether it may have the same time.

    Returns:
        A lazy frame with the rows as they came; missing where there is none.
    """
    keys, time = [on] if isinstance(on, str) else list(on), other or order
    right = table.lazy().with_columns(pl.col(time).cast(pl.Float64).alias(TIME))
    right = right.sort(TIME, maintain_order=True)  # of several at one time the last row is taken
    left = rows.lazy().with_row_index(PLACE).with_columns(pl.col(order).cast(pl.Float64).alias(TIME)).sort(TIME)
    dropped = [] if time == TIME else [time]
    joined = left.join_asof(
        right.drop(dropped), on=TIME, by=keys, tolerance=within, allow_exact_matches=exact, check_sortedness=False
    )
    return joined.sort(PLACE).drop(PLACE, TIME)
