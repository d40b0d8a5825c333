"""Values of static columns: numbers where a file prints them as numbers, else the text that the file holds.

Text that only parses as a number is a name: 007, and the versions 1.1 and 1.10, which are one number. So is 1e2 beside
100. A column is numeric if each of its values is printed as a program prints that number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from foldline.core.errors import UserError
from foldline.data import identity, number_texts, on_disk
from foldline.data.roles import DataConfig

MISSING = ("", "NaN", "nan")  # texts that are no value


def of(frame: pl.DataFrame, names: Sequence[str], numbers: Sequence[str]) -> dict[str, tuple[object, ...]]:
    """Return the known values of static columns, sorted; none of those that are numbers, where each value is itself."""
    return {name: () if name in numbers else tuple(on_disk.distinct(frame[name]).drop_nulls().sort()) for name in names}


def typed_all(
    frame: pl.DataFrame, data: DataConfig, levels: dict[str, tuple[object, ...]] | None, path: Path
) -> list[pl.Series]:
    """Return the static columns of a table with their types: numbers are Float64, NaN where they are missing.

    Args:
        levels: of the training table. None: this is it.
        path: for messages.

    Raises:
        UserError: a value is no number where there must be one, or infinite; a column has none at all.
    """
    found = []
    for name in (*data.static, *data.categorical_inputs):
        texts = frame[name].cast(pl.String)  # numbers, where data.observed names it, too
        if name in data.static_numeric or (levels is not None and not levels[name]):
            column = as_number(texts, path)
        else:
            column = typed(texts, levels[name] if levels else None, path)
        found.append(on_disk.kept(column))
        if levels is None and column.null_count() == len(column):
            raise UserError(f"{path}: column {name!r} is empty in all rows. Leave it out of [data].")
        if column.dtype.is_float() and column.is_infinite().any():
            raise UserError(f"{path}: column {name!r} must hold finite numbers, but holds inf. Mend it.")
    return found


def as_number(column: pl.Series, path: Path) -> pl.Series:
    """Return a static column of texts as Float64, null where it is missing.

    Raises:
        UserError: a text is no number.
    """
    try:
        return number_texts.parsed(column).fill_nan(None).alias(column.name)
    except number_texts.NotANumber as error:
        raise UserError(
            f"{path}: static column {column.name!r} must hold numbers, as data.static_numeric or the training table "
            f"says, but holds {error.text!r}. Write a number, or name the column in data.categorical."
        ) from error


def typed(column: pl.Series, known: tuple[object, ...] | None, path: Path) -> pl.Series:
    """Return a static column of texts as its levels are: Int64, Float64 or text.

    Args:
        column: texts, as printed.
        known: values of the training table, whose type it gets: a test table may hold only the ward 7 where the
            training table's wards are names, and then 7 is text. None: its values decide.
        path: of the file, for messages.

    Raises:
        UserError: the known values are numbers, and one of the column is none.
    """
    values = on_disk.distinct(column).drop_nulls()
    gone = values.str.strip_chars().is_in(MISSING)
    if gone.any():
        column, values = column.set(column.is_in(values.filter(gone).implode()), None), values.filter(~gone)
    if known is not None and known and isinstance(known[0], str):
        return column
    if values.str.contains(identity.WHOLE).all():
        return column.cast(pl.Int64 if known is None else pl.Float64)
    numbers = values.cast(pl.Float64, strict=False).cast(pl.String)  # as polars prints them: fast for long columns
    odd = values.filter(~values.eq_missing(numbers))
    name = next((value for value in odd.to_list() if not _printed_as_number(value)), None)
    if name is None:
        return column.cast(pl.Float64)
    if known is None:
        return column
    raise UserError(
        f"{path}: column {column.name!r} must hold numbers, as the training table does, each printed as numbers are, "
        f"but holds {name!r}. Write it as a number there, or write names in both tables."
    )


def _printed_as_number(text: str) -> bool:
    """Return whether a program prints a number like that: 1.1 and 1e-05, but not 1.10, 1e2, +1, 01 or .5."""
    try:
        number = float(text)
    except ValueError:
        return False
    if number != number or number in (float("inf"), float("-inf")):
        return True  # to be refused as no finite number
    return text == repr(number) or (number.is_integer() and text == str(int(number)))
