"""Names of series and rows: their normal form, and the one way in which they are compared.

` 1`, `1 `, `1.0` and 1 are one name, whatever type a file stores it as; 007, +7 and 1.50 stay as they are printed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

WHOLE = "^(0|-?[1-9][0-9]{0,17})$"  # a whole number that prints as it was written: 7 and -12, but not 007 or +7
EDGE = r"^\s|\s$"  # a space before or behind a name, of any alphabet
WHOLE_FLOAT = r"^(0|-?[1-9][0-9]*)\.0+$"  # 7.0 and 7.00: 7, which a program has read as a float
SHORT = 10**18 - 1  # the largest number of 18 digits
HELD = 2.0**63  # a whole float from -HELD on and below HELD is an int64


def normal(column: pl.Series) -> pl.Series:
    """Return names in their normal form: Int64 where each is a whole number of at most 18 digits, else text.

    column: text, integers or floats. Missing ones stay missing, and a name of spaces only is missing too; floats that
    are not finite stay as they are, for a check to refuse.
    """
    if column.dtype.is_integer() and _short(column):
        return column.cast(pl.Int64)
    if column.dtype.is_float():
        if not column.is_finite().fill_null(True).all():
            return column
        column = _of_floats(column)
    texts = column.cast(pl.String)
    if texts.str.contains(WHOLE).all():  # nearly always, and millions of rows
        return texts.cast(pl.Int64)
    if texts.str.contains(EDGE).any():  # strip_chars copies all of them
        texts = texts.str.strip_chars()
    if texts.str.contains(WHOLE_FLOAT).any():
        texts = texts.str.replace(WHOLE_FLOAT, "${1}")
    if (texts == "").any():
        texts = texts.set(texts == "", None)
    return whole(texts)


def together(parts: Sequence[pl.Series]) -> pl.Series:
    """Return names of several parts in the normal form of all; each part is in its own, Int64 or text."""
    same = len({part.dtype for part in parts}) == 1
    return pl.concat(parts if same else [part.cast(pl.String) for part in parts])


def whole(texts: pl.Series) -> pl.Series:
    """Return texts as Int64 if each prints as a whole number of at most 18 digits does, else as they are."""
    return texts.cast(pl.Int64) if texts.str.contains(WHOLE).all() else texts


def texts(names: pl.Series) -> pl.Series:
    """Return names of any type as text in their normal form: what is compared and joined on."""
    return normal(names).cast(pl.String)


def _short(column: pl.Series) -> bool:
    """Return whether integers have at most 18 digits; as Python's, because the column's own type may be a small one."""
    least, most = column.min(), column.max()
    return least is None or (int(least) >= -SHORT and int(most) <= SHORT)  # type: ignore[arg-type]


def _of_floats(column: pl.Series) -> pl.Series:
    """Return finite floats as text: whole ones as integers print, others as they print."""
    whole = ((column.floor() == column) & (column >= -HELD) & (column < HELD)).fill_null(False)
    integers = column.set(~whole, None).cast(pl.Int64)
    return integers if whole.all() else integers.cast(pl.String).zip_with(whole, column.cast(pl.String))


def is_unique(names: pl.Series) -> bool:
    """Return whether each name is there once. Those of a million series are in order: nothing is hashed then."""
    if not names.null_count() and (names[1:] > names[:-1]).all():
        return True
    return not names.is_duplicated().any()


def difference(names: pl.Series, expected: pl.Series) -> str:
    """Say how row ids differ from the expected ones, as a set; empty where they are the same, each once."""
    ours, theirs = alike(names, expected)
    if ours.equals(theirs) and is_unique(theirs):  # as nearly always: nothing is sorted then
        return ""
    if ours.sort().equals(theirs.sort()) and not theirs.is_duplicated().any():
        return ""
    ours, theirs = ours.cast(pl.String), theirs.cast(pl.String)
    lacking, odd = set(theirs) - set(ours), set(ours) - set(theirs)
    twice = names.filter(ours.is_duplicated())
    parts = []
    if lacking:
        parts.append(f"lacks {len(lacking)} of them (first: {names.name} {_first(lacking)})")
    if odd:
        parts.append(f"names {len(odd)} that are not there (first: {names.name} {_first(odd)})")
    if twice.len():
        parts.append(f"names {names.name} {twice[0]} more than once")
    return " and ".join(parts)


def alike(names: pl.Series, others: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return two columns in their normal form, of one type: whole numbers are text where others are not whole."""
    one, two = normal(names), normal(others)
    return (one, two) if one.dtype == two.dtype else (one.cast(pl.String), two.cast(pl.String))


def _first(names: set[str | None]) -> str | None:
    return min(names, key=lambda name: (len(str(name)), str(name)))


def places(names: pl.Series, of: pl.Series) -> pl.Series:
    """Return the place in `of` of each name, (n,) UInt32; null: it is not there. `of` names each once."""
    ours, theirs = alike(names, of)
    if not ours.null_count() and ours.equals(theirs):  # in the same order: nothing is hashed then
        return pl.Series("place", np.arange(len(ours), dtype=np.uint32))
    table = pl.DataFrame({"name": theirs}).with_row_index("place")
    return pl.DataFrame({"name": ours}).join(table, on="name", how="left", maintain_order="left")["place"]
