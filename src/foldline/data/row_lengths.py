"""The rows of a CSV file, counted without its reader: each has as many fields as the header, and none is lost.

polars, where it reads some of the columns, drops fields that a row has too much, and all rows behind a quote that
stands where no quote may stand. A comma that should stand in quotes moves every value behind it into the next column,
and a field that is lost moves them the other way: if they are all numbers, nothing else shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

from foldline.core.errors import UserError

BLOCK = 1 << 22  # bytes of rows that are read together
LINE_END = ord("\n")
OTHERS = bytes(sign for sign in range(256) if sign not in b",\n")
MORE = 1 << 16  # bytes of lines that are added while a quoted text goes on
QUOTED = re.compile(rb'(?:(?<=[,\n])|\A)"(?:[^"]++|"")*+"(?=,|\r?\n|\r?\Z)')  # a whole field
MARK = b"\xef\xbb\xbf"
Content: TypeAlias = bytes | bytearray


def blocks(stream: BinaryIO) -> Iterator[bytearray]:
    """Cut a file into blocks of whole rows, of BLOCK bytes or more where a quoted text goes on."""
    while True:
        block = bytearray(BLOCK)
        del block[stream.readinto(block) :]  # type: ignore[attr-defined]
        if not block:
            return
        block += stream.readline()
        quotes = block.count(b'"') if b'"' in block else 0  # to count takes longer
        while quotes % 2 and (more := b"".join(stream.readlines(MORE))):
            block += more
            quotes += more.count(b'"')
        yield block


def head_of(block: Content) -> bytes:
    """Return the header of a file's first block, with empty lines before it; a quoted name may hold ends of lines."""
    end = 0
    while end := block.find(LINE_END, end) + 1:
        head = block[:end]
        if head.removeprefix(MARK).strip() and head.count(b'"') % 2 == 0:
            return bytes(head)
    return bytes(block)


class RowLengths:
    """Counts the rows of a file, block by block, and their fields."""

    def __init__(self, path: Path, fields: int) -> None:
        """path: for messages. fields: of the header."""
        self.path, self.fields = path, fields
        self._lines = self._filled = self._height = 0

    def add(self, block: Content, height: int) -> None:
        """Look at the next block. height: rows that were read of it.

        Raises:
            UserError: a quote where none may stand, or a row of another length than the header's.
        """
        lines, line = block, self._lines
        if b'"' in block:
            lines = _without_quoted(self.path, block.removeprefix(b"" if line else MARK), line)
        if b"\r" in lines and lines.count(b"\r") != lines.count(b"\r\n") + lines.endswith(b"\r"):
            raise _lone_return(self.path, line, lines)
        counts = _counts(lines)
        texts = lines.split(b"\n") if (counts != self.fields).any() or self.fields == 1 else []
        empty = [int(place) for place in np.flatnonzero(counts == 1) if texts and not texts[place].strip()]
        odd = np.setdiff1d(np.flatnonzero(counts != self.fields), empty)
        if len(odd):
            raise _uneven(self.path, line + int(odd[0]) + 1, self.fields, int(counts[odd[0]]))
        self._lines, self._filled = line + len(counts), self._filled + len(counts) - len(empty)
        self._height += height

    def finish(self) -> None:
        """Refuse a file that was read in part.

        Raises:
            UserError
        """
        if not self._filled - 1 <= self._height <= self._lines - 1:
            raise UserError(
                f"{self.path} has {self._filled - 1} rows, but only {self._height} of them can be read. Write it "
                "again, with quotes around texts only where both stand."
            )


def _without_quoted(path: Path, lines: Content, line: int) -> bytes:
    """Replace quoted texts, which may hold commas and ends of lines, by a letter. line: of the file, before them."""
    lines = QUOTED.sub(b"x", lines)
    place = lines.find(b'"')
    if place >= 0:
        raise UserError(
            f"{path}, line {line + lines.count(LINE_END, 0, place) + 1}: a quote stands where none may, or is never "
            "closed. Write quotes around a whole text, and two for one inside it."
        )
    return lines


def _counts(lines: Content) -> np.ndarray:
    """Count the fields of each line, (lines,), where none is quoted."""
    signs = (lines if lines.endswith(b"\n") else lines + b"\n").translate(None, OTHERS)
    first = signs[: signs.find(LINE_END) + 1]
    rows = len(signs) // len(first)
    if signs == first * rows:  # nearly always
        return np.full(rows, len(first))
    return np.diff(np.flatnonzero(np.frombuffer(signs, dtype=np.uint8) == LINE_END), prepend=-1)


def _lone_return(path: Path, line: int, lines: Content) -> UserError:
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
