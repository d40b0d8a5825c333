"""Tables of a documentation page that a command makes: printed, and written between their marks on request.

A part of a page stands between `<!-- NAME -->` and `<!-- end of NAME -->`; all else is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TextIO


class Page:
    """A page whose parts are written as soon as each is complete; None: they are printed only."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Print what the body prints, and write it into the page.

        Raises:
            ValueError: the page has no marks of that name.
        """
        text = StringIO()
        print()
        with redirect_stdout(_Both(sys.stdout, text)):
            yield
        if self.path is not None:
            self.path.write_text(replaced(self.path.read_text(encoding="utf-8"), name, text.getvalue()), "utf-8")


def replaced(page: str, name: str, text: str) -> str:
    """Return a page with the text of a part replaced.

    Raises:
        ValueError: it has no marks of that name.
    """
    found = re.search(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end of {re.escape(name)} -->)", page, re.DOTALL)
    if found is None:
        raise ValueError(f"The page has no part between `<!-- {name} -->` and `<!-- end of {name} -->`.")
    return f"{page[: found.start()]}{found[1]}{text.strip()}\n{found[2]}{page[found.end() :]}"


class _Both(StringIO):
    """A stream that writes into two."""

    def __init__(self, one: TextIO, other: TextIO) -> None:
        super().__init__()
        self.streams = one, other

    def write(self, text: str) -> int:
        for stream in self.streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        self.streams[0].flush()
