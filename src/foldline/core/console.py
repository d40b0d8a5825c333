"""What the terminal shows: tables, one line a finished cell, progress bars with an ETA where there is a terminal.

`quiet` shows errors and the last line only; `json` keeps the standard output for one JSON object at the end and shows
nothing else there. NO_COLOR is respected (by rich).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from foldline.core.text_columns import words

PIPE_WIDTH = 200  # columns where the output goes into a file: enough for the scores of twelve folds


class Terminal:
    """Where a verb talks to its user."""

    def __init__(self, quiet: bool = False, as_json: bool = False) -> None:
        self.silent = quiet or as_json
        self.as_json = as_json
        self.console = Console(quiet=self.silent, highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = PIPE_WIDTH

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """One line on standard error, also when quiet."""
        print(f"warning: {text}", file=sys.stderr)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; columns of words stand left, of numbers right."""
        table = Table(title=title, title_justify="left", title_style="bold")
        for name, text in zip(columns, words(columns, rows), strict=True):
            table.add_column(name, justify="left" if text else "right", overflow="fold" if text else "ellipsis")
        for row in rows:
            table.add_row(*map(escape, row))
        self.console.print(table)

    def result(self, values: dict[str, Any], last: str) -> None:
        """The end: `values` with --json, the line `last` otherwise (also when quiet)."""
        print(json.dumps(values, sort_keys=True) if self.as_json else last)

    @contextmanager
    def bar(self, title: str, unit: str) -> Iterator[Any]:
        """A bar for one long step; yields update(done, of)."""
        with self.progress() as progress:
            task = progress.add_task(f"{title} ({unit})", total=None)
            yield lambda done, of: progress.update(task, completed=done, total=of)

    def progress(self) -> Progress:
        """Bars that are shown where there is a terminal, and gone when they end."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        shown = self.console.is_terminal and not self.silent
        return Progress(
            *columns, TextColumn("ETA"), TimeRemainingColumn(), console=self.console, transient=True, disable=not shown
        )
