"""Text cells as numbers: what a CSV prints and what a Parquet column of text holds are read by the same rules.

Spaces around a number are nothing; true and false are 1 and 0; an empty cell is missing, and so is a marker that
data.missing_values names for the column.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

FLAGS = {"true": "1", "True": "1", "TRUE": "1", "false": "0", "False": "0", "FALSE": "0"}
Marker = str | float  # a text, or a number, that stands for a missing value


def parsed(column: pl.Series, markers: Collection[Marker] = ()) -> pl.Series:
    """Return texts as Float64, null where one is missing.

    markers: that stand for a missing value.

    Raises:
        NotANumber: for the first text that is none.
    """
    texts = column.str.strip_chars()
    gone = ["", *(marker for marker in markers if isinstance(marker, str))]
    lacking = texts.is_in(gone).fill_null(False)
    texts = texts.set(lacking, None) if lacking.any() else texts
    values = texts.cast(pl.Float64, strict=False)
    odd = texts.is_not_null() & values.is_null()
    if odd.any():
        values = texts.replace(FLAGS).cast(pl.Float64, strict=False)
        odd = texts.is_not_null() & values.is_null()
    if odd.any():
        row = int(odd.arg_true()[0])
        raise NotANumber(row, str(column[row]))
    return without_markers(values, markers)


class NotANumber(ValueError):
    """A text that is no number: its row, from 0, and itself."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(f"{text!r} in row {row} is no number")
        self.row, self.text = row, text


def without_markers(values: pl.Series, markers: Collection[Marker]) -> pl.Series:
    """Return Float64 values with null where one is a marker that is a number, or the text of one.

    Whether a column comes as text or as numbers, hangs on what else is in it.
    """
    of_texts = pl.Series([marker for marker in markers if isinstance(marker, str)], dtype=pl.String)
    known = of_texts.str.strip_chars().cast(pl.Float64, strict=False).drop_nulls().drop_nans()
    numbers = [*known, *(float(marker) for marker in markers if not isinstance(marker, str))]
    if not numbers:
        return values
    found = values.is_in(numbers).fill_null(False)
    return values.set(found, None) if found.any() else values
