"""The rows of a CSV file, counted without its reader: each has as many fields as the header, and none is lost.

polars, where it reads some of the columns, drops fields that a row has too much, and all rows behind a quote that
stands where no quote may stand. A comma that should stand in quotes moves every value behind it into the next column,
and a field that is lost moves them the other way: if they are all numbers, nothing else shows it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np

from foldline.core.errors import UserError

BLOCK = 1 << 24  # bytes of lines that are looked at together
COMMA, LINE_END = b",\n"
QUOTED = re.compile(rb'(?:(?<=[,\n])|\A)"(?:[^"]++|"")*+"(?=,|\r?\n|\r?\Z)')  # a whole field
MARK = b"\xef\xbb\xbf"


def check(path: Path, stream: BinaryIO, fields: int, height: int) -> None:
    """Refuse quotes where none may stand, a row of another length than the header's, and a file that was read in part.

    Args:
        path: for messages. stream: the file, at its beginning. fields: of the header. height: rows that were read.

    Raises:
        UserError
    """
    line = filled = 0
    for block in iter(lambda: b"".join(stream.readlines(BLOCK)), b""):
        lines = block
        if b'"' in block:  # a quoted text may reach into the next block
            lines = _without_quoted(path, block + stream.read())
        if lines.count(b"\r") != lines.count(b"\r\n") + lines.endswith(b"\r"):
            raise _lone_return(path, line, lines)
        counts = _counts(lines)
        texts = lines.split(b"\n") if (counts != fields).any() or fields == 1 else []
        empty = [int(place) for place in np.flatnonzero(counts == 1) if texts and not texts[place].strip()]
        odd = np.setdiff1d(np.flatnonzero(counts != fields), empty)
        if len(odd):
            raise _uneven(path, line + int(odd[0]) + 1, fields, int(counts[odd[0]]))
        line, filled = line + len(counts), filled + len(counts) - len(empty)
    if not filled - 1 <= height <= line - 1:
        raise UserError(
            f"{path} has {filled - 1} rows, but only {height} of them can be read. Write it again, with quotes around "
            "texts only where both stand."
        )


def _without_quoted(path: Path, lines: bytes) -> bytes:
    """Replace quoted texts, which may hold commas and ends of lines, by a letter."""
    lines = QUOTED.sub(b"x", lines.removeprefix(MARK))
    place = lines.find(b'"')
    if place >= 0:
        raise UserError(
            f"{path}, line {lines.count(LINE_END, 0, place) + 1}: a quote stands where none may, or is never closed. "
            "Write quotes around a whole text, and two for one inside it."
        )
    return lines


def _counts(lines: bytes) -> np.ndarray:
    """Count the fields of each line, (lines,), where none is quoted."""
    signs = np.frombuffer(lines if lines.endswith(b"\n") else lines + b"\n", dtype=np.uint8)
    signs = signs[(signs == COMMA) | (signs == LINE_END)]
    return np.diff(np.flatnonzero(signs == LINE_END), prepend=-1)


def _lone_return(path: Path, line: int, lines: bytes) -> UserError:
    """line: of the file, before `lines`."""
    place = re.search(rb"\r(?!\n)", lines)
    number = line + 1 + (lines.count(LINE_END, 0, place.start()) if place else 0)
    return UserError(
        f"{path}, line {number}: a carriage return stands inside a row, which some programs take for its end. Write it "
        "again with one kind of line end, and quotes around a text that holds one."
    )


def _uneven(path: Path, line: int, fields: int, found: int) -> UserError:
    return UserError(
        f"{path}, line {line}: a row must have {fields} fields, as the header has, but this one has {found}. Write "
        "every comma, and quotes around a text that holds one."
    )
