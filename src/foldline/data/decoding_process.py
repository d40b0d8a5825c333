"""Exact rows beside other work: a process of its own decodes tables while this one trains cells.

A thread of this process asks the other one for a part at a time, and writes what comes back: files, locks and errors
are those of `exact_rows.obtain`. Only a few thousand series cross at a time, so that memory does not follow the table.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from foldline.data import exact_rows
from foldline.data.decoders import ENDING_S, Decoders
from foldline.data.table import Table

FEWEST = 500  # series; fewer are decoded in less time than another process takes to begin
LOOK_S = 0.1  # how often a wait looks how far decoding is


class Decoding:
    """Tables that are being decoded in another process."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tables
        self._decoders = Decoders(1)  # cells have the other cores
        self._done = (0, 1)
        self._error: BaseException | None = None
        run = contextvars.copy_context().run  # complaints go where this thread's go
        self._thread = threading.Thread(target=run, args=(self._obtain,), name="decoding", daemon=True)
        self._thread.start()

    def wait(self, on_progress: Callable[[int, int], None]) -> None:
        """Wait until all tables are decoded. on_progress: called with (series done, series in all) of a table.

        Raises:
            UserError: what has ended the decoding, as `exact_rows.obtain` would have raised it.
        """
        while self._thread.is_alive():
            on_progress(*self._done)
            self._thread.join(LOOK_S)
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """End the other process, and the thread that it answers; parts that are written stay."""
        self._decoders.end()
        self._thread.join(timeout=ENDING_S)  # it hears that there is no answer; one that waits for a lock is left alone

    def _obtain(self) -> None:
        """Decode table by table; runs in the thread."""
        try:
            for table in self._tables:
                exact_rows.obtain(table, self._note, decoder=self._decoders.decode)
        except BaseException as error:  # a panic in polars is no Exception
            self._error = error
        finally:
            self._decoders.close()  # the other process, which nobody asks any more, ends

    def _note(self, done: int, total: int) -> None:
        self._done = (done, total)


@contextmanager
def decoding(tables: Sequence[Table]) -> Iterator[Decoding | None]:
    """Decode those tables beside the block whose exact rows are not there yet; None where that is not worth a process.

    What is not decoded when the block ends, its `wait` waits for; whatever ends the block early ends the decoding.

    Raises:
        UserError: a table is not of the competition's shape.
    """
    missing = [table for table in tables if exact_rows.damage(exact_rows.path_of(table))]
    for table in missing:
        exact_rows.check(table)
    if sum(len(table.lengths) for table in missing) < FEWEST:
        yield None
        return
    beside = Decoding(missing)
    try:
        yield beside
    finally:
        beside.end()
