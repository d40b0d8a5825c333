"""Parquet files of many types and layouts, and damaged ones, made by pyarrow.

A function that changes a table returns what it did, and whether the table must still be read.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from random import Random
from typing import Any

from benchmarks.fault_injection.sheets import TOKENS, Change

NUMBERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")
LIKE_THEM = ("decimal128(38, 10)", "decimal128(12, 2)", "decimal256(60, 20)", "string", "large_string", "string_view")
OTHERS = (
    "bool_",
    "null",
    "binary",
    "date32",
    "timestamp[s]",
    "timestamp[us]",
    "duration[ns]",
    "time64[us]",
    "list",
    "struct",
)


def changed(table: Any, draw: Random) -> tuple[Any, Change]:
    """Change an Arrow table in one way."""
    import pyarrow as pa

    if table.num_columns < 2:
        return table, ("nothing", True)
    try:
        return draw.choice(CHANGES)(table, draw)
    except (pa.ArrowException, ValueError, OverflowError):  # pyarrow has no such change for this type
        return table, ("nothing", True)


def _with(table: Any, column: int, values: Any) -> Any:
    return table.set_column(column, table.column_names[column], values)


def cast(table: Any, draw: Random) -> tuple[Any, Change]:
    """Store a column as another type."""
    import pyarrow as pa

    column, kind = draw.randrange(table.num_columns), draw.choice(NUMBERS + LIKE_THEM + OTHERS)
    old = table.column(column)
    what = f"{table.column_names[column]} ({old.type}) as {kind}"
    try:
        if kind in ("list", "struct"):
            made = [[value] if kind == "list" else {"of": value} for value in old.to_pylist()]
            return _with(table, column, pa.array(made)), (what, False)
        new = pa.nulls(len(old)) if kind == "null" else old.cast(_type(kind), safe=draw.random() < 0.7)
    except pa.ArrowException:
        return table, (f"{what}: not possible", True)
    exact = kind in NUMBERS and old.type != pa.large_string() and new.cast(old.type, safe=False).equals(old)
    return _with(table, column, new), (what, exact and "16" not in kind)  # float16 is a type that few read


def _type(kind: str) -> Any:
    import pyarrow as pa

    name, _, given = kind.partition("(")
    if given:
        return getattr(pa, name)(*map(int, given.rstrip(")").split(",")))
    name, _, unit = kind.partition("[")
    return getattr(pa, name)(unit.rstrip("]")) if unit else getattr(pa, name)()


def as_dictionary(table: Any, draw: Random) -> tuple[Any, Change]:
    """Store a column as codes of a dictionary."""
    column = draw.randrange(table.num_columns)
    coded = table.column(column).dictionary_encode()
    return _with(table, column, coded), (f"{table.column_names[column]} as codes of a dictionary", False)


def put_value(table: Any, draw: Random) -> tuple[Any, Change]:
    """Put a null, a special number or a text into one row of a column."""
    import pyarrow as pa

    column, row = draw.randrange(table.num_columns), draw.randrange(table.num_rows or 1)
    values = table.column(column).to_pylist()
    special = [None, float("nan"), float("inf"), -0.0, 5e-324, 1.7e308, 2**53 + 1, -(2**63), 2**63 - 1, *TOKENS]
    value = draw.choice(special)
    values[row : row + 1] = [value]
    if isinstance(value, str):
        values = [None if other is None else str(other) for other in values]
    try:
        made = pa.array(values)
    except (pa.ArrowException, OverflowError):
        return table, ("nothing", True)
    return _with(table, column, made), (f"{table.column_names[column]}, row {row} = {value!r}", False)


def move_rows(table: Any, draw: Random) -> tuple[Any, Change]:
    """Drop, double or swap rows."""
    rows, place = list(range(table.num_rows)), draw.randrange(table.num_rows or 1)
    how = draw.choice(["dropped", "doubled", "swapped with the first", "all in another order"])
    if how == "dropped":
        del rows[place : place + 1]
    elif how == "doubled":
        rows[place : place + 1] = [place, place]
    elif how.startswith("swapped") and rows:
        rows[0], rows[place] = rows[place], rows[0]
    else:
        draw.shuffle(rows)
    return table.take(rows), (f"row {place} {how}", False)


def move_columns(table: Any, draw: Random) -> tuple[Any, Change]:
    """Reorder, double, rename or drop columns."""
    places, column = list(range(table.num_columns)), draw.randrange(table.num_columns)
    how = draw.choice(["in another order", "doubled", "dropped", "renamed"])
    if how == "in another order":
        draw.shuffle(places)
        return table.select(places), (f"columns {places}", True)
    if how == "doubled":
        return table.append_column(table.column_names[column], table.column(column)), (
            f"column {column} doubled",
            False,
        )
    if how == "dropped":
        return table.remove_column(column), (f"column {column} dropped", False)
    new = draw.choice(["", "*", "^x$", "Row", draw.choice(table.column_names), " ride"])
    names = [new if place == column else name for place, name in enumerate(table.column_names)]
    return table.rename_columns(names), (f"column {column} renamed {new!r}", False)


def in_chunks(table: Any, draw: Random) -> tuple[Any, Change]:
    """Make a table of several chunks."""
    import pyarrow as pa

    place = draw.randrange(table.num_rows + 1)
    return pa.concat_tables([table.slice(0, place), table.slice(place)]), (f"two chunks, cut at {place}", True)


CHANGES: tuple[Callable[[Any, Random], tuple[Any, Change]], ...] = (
    *(cast, cast, cast, cast, as_dictionary, put_value, put_value, move_rows, move_columns, in_chunks),
)


def written(table: Any, draw: Random) -> tuple[bytes, Change]:
    """Write it as Parquet, in one of many ways."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    layout: dict[str, Any] = {
        "compression": draw.choice(["none", "snappy", "gzip", "zstd", "brotli", "lz4"]),
        "row_group_size": draw.choice([1, 7, 1000]),
        "use_dictionary": draw.random() < 0.5,
        "data_page_version": draw.choice(["1.0", "2.0"]),
        "version": draw.choice(["1.0", "2.4", "2.6"]),
        "write_statistics": draw.random() < 0.7,
        "store_schema": draw.random() < 0.7,
        "write_page_checksum": draw.random() < 0.5,
    }
    stream = io.BytesIO()
    try:
        pq.write_table(table, stream, **layout)
    except pa.ArrowException:  # a type that Parquet lacks
        stream = io.BytesIO()
        pq.write_table(pa.table({"nothing": [1]}), stream)
        return stream.getvalue(), ("a type that Parquet lacks: another table", False)
    return stream.getvalue(), (", ".join(f"{name} {value}" for name, value in layout.items()), True)
