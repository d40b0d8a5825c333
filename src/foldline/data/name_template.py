"""Templates of names, "{ride}_{step}": literal text, and in braces what each row of a table fills in.

In braces stand a column's name, `target` (the name of a prediction's own column), `step` (the row's number in its
series, from 0, unless the table has a column of that name), or SQL on these: "{first + step}", "F{step + 1}".
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from foldline.data import identity
from foldline.data.packed_files import PANIC, reason

STEP, TARGET = "step", "target"


@dataclass(frozen=True)
class NameTemplate:
    """A template, as a config gives it."""

    text: str

    @cached_property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """Split it into pairs of literal text and what stands in the braces behind it; empty: nothing does.

        Raises:
            ValueError: its braces don't pair, or hold nothing.
        """
        wrong = f'a template is text with columns in braces, like "{{ride}}_{{step}}", but is {self.text!r}'
        try:
            parsed = list(string.Formatter().parse(self.text))
        except ValueError as error:
            raise ValueError(f"{wrong} ({error})") from None
        if any(place == "" or sign or kind for _, place, kind, sign in parsed):
            raise ValueError(wrong)
        return tuple((literal, place or "") for literal, place, _, _ in parsed)

    @property
    def names_target(self) -> bool:
        """Whether it gives each of several predictions of an answer a name of its own."""
        return any(place == TARGET for _, place in self.parts)

    def constant(self, target: str) -> str:
        """Return the name where it is the same in all rows: of a template without columns."""
        return "".join(literal + (target if place else "") for literal, place in self.parts)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """List the columns that it reads, `step` among them.

        Raises:
            ValueError: braces hold no SQL, or SQL that names no column.
        """
        found = [name for _, place in self.parts if place not in ("", TARGET) for name in _roots(place)]
        return tuple(dict.fromkeys(found))

    def names(self, frame: pl.DataFrame, target: str) -> pl.Series:
        """Make the name of each row, (rows,) text.

        Args:
            frame: with the template's columns.
            target: what stands for `target`.
        """
        pieces = [pl.repeat("", pl.len())]  # as many as there are rows, of literal text alone, too
        for literal, place in self.parts:
            pieces.append(pl.lit(literal))
            if place == TARGET:
                pieces.append(pl.lit(target))
            elif place:
                values = frame.select(_expression(place).alias(place)).to_series()
                pieces.append(pl.lit(identity.texts(values)))  # a whole number is 7, not 7.0
        return frame.select(pl.concat_str(pieces).alias("name")).to_series()


def _expression(place: str) -> pl.Expr:
    return pl.col(place) if re.fullmatch(r"\w+", place) else pl.sql_expr(place)


def _roots(place: str) -> list[str]:
    try:
        found = _expression(place).meta.root_names()
    except BaseException as error:
        if not (isinstance(error, pl.exceptions.PolarsError) or type(error).__name__ == PANIC):
            raise
        raise ValueError(f"{{{place}}} must hold a column's name, or SQL on columns ({reason(error)})") from None
    if not found:
        raise ValueError(f"{{{place}}} must name a column")
    return found
