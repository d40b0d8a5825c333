"""Exact rows beside other work: a process of its own decodes tables while this one trains cells.

A thread of this process asks the other one for a part at a time, and writes what comes back: files, locks and errors
are those of `exact_rows.obtain`. Only a few thousand series cross at a time, so that memory does not follow the table.
"""

from __future__ import annotations

import contextlib
import contextvars
import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import polars as pl

from foldline.core import worker_start
from foldline.core.errors import UserError, from_worker
from foldline.data import exact_rows
from foldline.data.table import Table

FEWEST = 500  # series; fewer are decoded in less time than another process takes to begin
LOOK_S = 0.1  # how often a wait looks how far decoding is
ENDING_S = 5.0  # longest wait for the other process to end, then it is killed; and for the thread


class Decoding:
    """Tables that are being decoded in another process."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tables
        self._here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")  # forking a process with torch's or polars' threads can hang
        self._process: Any = context.Process(target=_serve, args=(there,), daemon=True)
        with worker_start.starting():
            self._process.start()
        there.close()  # only the other process holds it now: its end is heard here
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
        self._process.terminate()
        self._process.join(timeout=ENDING_S)
        self._process.kill()
        self._process.join()
        self._thread.join(timeout=ENDING_S)  # it hears that there is no answer; one that waits for a lock is left alone

    def _obtain(self) -> None:
        """Decode table by table; runs in the thread."""
        try:
            for table in self._tables:
                exact_rows.obtain(table, self._note, decode=self._ask)
        except BaseException as error:  # a panic in polars is no Exception
            self._error = error
        finally:
            self._here.close()  # the other process, which nobody asks any more, ends

    def _note(self, done: int, total: int) -> None:
        self._done = (done, total)

    def _ask(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Have the other process decode rows of a table of the competition's shape.

        Raises:
            UserError: it has ended, or whatever it has met.
        """
        from ventilator.decoder.breaths import NEEDED

        try:
            self._here.send(frame.select(name for name in (*NEEDED, "u_out") if name in frame.columns))
            answer = self._here.recv()
        except (EOFError, OSError) as error:
            self._process.join(timeout=ENDING_S)
            raise UserError(
                f"The process that decodes exact rows ended with exit code {self._process.exitcode} (a negative one is "
                "a signal; -9 is often the system running out of memory). Finished cells and decoded parts are kept: "
                "run the same command again."
            ) from error
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, pl.DataFrame), "a decoder returns rows"
        return answer


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


def _serve(asked: Connection) -> None:
    """Decode whatever comes through a pipe until its other end is closed."""
    worker_start.die_with_parent()
    from ventilator.decoder import decode

    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            frame = asked.recv()
            try:
                answer: object = decode(frame)
            except ValueError as error:  # says what is wrong with the rows
                answer = error
            except BaseException as error:  # a panic in a library's Rust code is no Exception
                answer = from_worker(error)
            asked.send(answer)
