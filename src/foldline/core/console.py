"""Terminal output: lines, tables, and progress bars with an ETA, in a notebook, too; elsewhere a line a minute.

With `quiet` only errors and the last line are shown; with `as_json` only one JSON object at the end. rich respects
NO_COLOR.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Literal

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

from foldline.core import notebook, table_parts
from foldline.core.command_name import as_started
from foldline.core.errors import complain
from foldline.core.heartbeat import Heartbeat
from foldline.core.json_values import without_nan
from foldline.core.text_columns import is_text

Said = tuple[str, list[Any]]  # method of Terminal, and its arguments, JSON-able
PIPE_WIDTH = 200  # characters of a line where the output is no terminal: enough for the scores of twelve folds


class _Lines(Console):
    """What prints: whoever reads it may go away (`| head -1`), and the work goes on without a word."""

    def on_broken_pipe(self) -> None:
        """Print no more; rich would end Python, with the exit code of a finding."""
        with suppress(SystemExit, OSError):  # OSError: the stream is no file
            super().on_broken_pipe()


class Terminal:
    """The output of one verb."""

    def __init__(self, quiet: bool = False, as_json: bool = False) -> None:
        self.silent = quiet or as_json
        self.as_json = as_json
        # In a notebook rich would make every line an output of its own, and need ipywidgets for bars; and it would take
        # standard output for a terminal, because ipykernel sets FORCE_COLOR.
        self.bars = notebook.Bars() if notebook.is_here() else None
        no = None if self.bars is None else False
        self.console = _Lines(
            quiet=self.silent,
            highlight=False,
            emoji=False,  # :car: in a name is no picture
            soft_wrap=True,
            force_jupyter=no,
            force_terminal=no,
        )
        if not self.console.is_terminal:
            self.console.width = PIPE_WIDTH
        self.heartbeat = Heartbeat(self._print)
        self.said: list[Said] = []  # what the same command would say if nothing were left to do (`repeat`)

    def say(self, text: str, later: str | None = None) -> None:
        """Print one line, unless quiet.

        later: what the same command says instead when nothing is left to do, empty: nothing; None: the same.
        """
        self._print(text)
        self.will_say(text if later is None else later)

    def will_say(self, text: str) -> None:
        """Note a line for the same command when nothing is left to do; empty: none."""
        if text:
            self.said.append(("say", [text]))

    def _print(self, text: str) -> None:
        self.console.print(as_started(text), markup=False)

    def warn(self, text: str, again: bool = True) -> None:
        """Print one line on standard error, also when quiet. again: also where the same command has nothing to do."""
        complain(f"warning: {text}")
        if again:
            self.said.append(("warn", [text]))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table: columns of text are aligned left, of numbers right. One too wide is printed in parts."""
        self.said.append(("table", [title, columns, rows]))
        rows, text = [[as_started(cell) for cell in row] for row in rows], is_text(columns, rows)
        for part, places in enumerate(table_parts.parts(columns, rows, text, self.console.width)):
            table = Table(title=escape(title) if part == 0 else None, title_justify="left", title_style="bold")
            for place in places:
                justify: Literal["left", "right"] = "left" if text[place] else "right"
                table.add_column(escape(columns[place]), justify=justify, overflow="fold")
            for row in rows:
                table.add_row(*(escape(row[place]) for place in places))
            self.console.print(table)

    def result(self, values: dict[str, Any], last: str) -> None:
        """Print the result of the verb: `values` with --json, the line `last` otherwise (also when quiet).

        JSON has no NaN, such as a fold without a score has: it is null there.
        """
        self.said.append(("result", [without_nan(values), last]))
        print(json.dumps(without_nan(values), sort_keys=True, allow_nan=False) if self.as_json else as_started(last))

    def repeat(self, said: Sequence[Said]) -> None:
        """Print what another terminal has `said`."""
        for how, arguments in said:
            getattr(self, how)(*arguments)

    @contextmanager
    def bar(self, title: str, unit: str) -> Iterator[Any]:
        """Show a progress bar for one long step; yields update(done, total). unit: what is counted."""
        with self.progress() as progress:
            task = progress.add_task(escape(f"{title} ({unit})"), total=None)

            def update(done: float, total: float) -> None:
                if done < progress.tasks[0].completed:  # of the next of several tables: its time begins anew
                    progress.reset(task, before=done)
                progress.update(task, completed=done, total=total)

            yield update

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show progress bars, removed when they end; a line a minute where there is neither terminal nor notebook."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        watched = self.console.is_terminal
        bars = Progress(
            *(*columns, TextColumn("ETA"), TimeRemainingColumn()),
            console=self.console,
            transient=True,
            disable=self.silent or not watched,
            get_time=self.heartbeat.clock,
        )
        with bars, nullcontext() if self.silent or watched else self._told(bars):
            yield bars

    def _told(self, bars: Progress) -> AbstractContextManager[None]:
        """Tell how far bars are that no terminal shows."""
        return self.heartbeat.during(bars) if self.bars is None else self.bars.during(bars)
