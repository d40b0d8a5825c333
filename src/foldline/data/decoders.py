"""Processes that decode exact rows: one beside the cells that train, or one a core for a large file.

The compiled part of the decoder runs in threads, but a quarter of its time is Python's, for which threads take turns.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

import polars as pl

from foldline.core import worker_start
from foldline.core.errors import UserError, from_worker

if TYPE_CHECKING:
    from ventilator.decoder.file_decoding import Decoder

SERIES = 2000  # that another process is worth: it begins for some 2 s, and decodes them in 10 to 20
MOST = 16  # processes, each with 200 MiB of libraries and compiled code
ENDING_S = 5.0  # longest wait for a process to end, then it is killed


class Decoders:
    """Processes that wait for rows to decode."""

    def __init__(self, count: int, threads: int | None = None) -> None:
        """Start them. threads: of each; None: as many as there are cores."""
        context = multiprocessing.get_context("spawn")  # forking a process with torch's or polars' threads can hang
        self._processes: dict[Connection, Any] = {}
        for _ in range(count):
            here, there = multiprocessing.Pipe()
            process = context.Process(target=_serve, args=(there, threads), daemon=True)
            with worker_start.starting():
                process.start()
            there.close()  # only the other process holds it now: its end is heard here
            self._processes[here] = process

    def decode(self, frames: Iterable[pl.DataFrame]) -> Iterator[tuple[int, pl.DataFrame]]:
        """Decode frames of the competition's shape; yield the place of each, as it is done, and its exact rows.

        Raises:
            UserError: a process has ended, or whatever it has met.
        """
        coming, busy = enumerate(frames), dict[Connection, int]()
        for free in self._processes:
            self._send_next(free, coming, busy)
        while busy:
            for asked in wait(list(busy)):
                assert isinstance(asked, Connection), "of those that were asked"
                rows, place = self._answer(asked), busy.pop(asked)
                self._send_next(asked, coming, busy)  # it decodes while the caller writes
                yield place, rows

    def _send_next(
        self, free: Connection, coming: Iterator[tuple[int, pl.DataFrame]], busy: dict[Connection, int]
    ) -> None:
        """Give a process the next frame, if there is one, and note that it is busy with it."""
        from ventilator.decoder.breaths import NEEDED

        for place, frame in coming:
            try:
                free.send(frame.select(name for name in (*NEEDED, "u_out") if name in frame.columns))
            except OSError as error:
                raise self._ended(free) from error
            busy[free] = place
            return

    def _answer(self, asked: Connection) -> pl.DataFrame:
        """Receive what a process has made of its frame."""
        try:
            answer = asked.recv()
        except (EOFError, OSError) as error:
            raise self._ended(asked) from error
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, pl.DataFrame), "a decoder returns rows"
        return answer

    def _ended(self, asked: Connection) -> UserError:
        process = self._processes[asked]
        process.join(timeout=ENDING_S)
        return UserError(
            f"The process that decodes exact rows ended with exit code {process.exitcode} (a negative one is "
            "a signal; -9 is often the system running out of memory). Finished cells and decoded parts are kept: "
            "run the same command again."
        )

    def close(self) -> None:
        """Let processes end that nobody will ask any more."""
        for here in self._processes:
            here.close()

    def end(self) -> None:
        """End the processes, whatever they do."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.join(timeout=ENDING_S)
            process.kill()
            process.join()


@contextmanager
def for_file(series: int) -> Iterator[Decoder]:
    """Give what decodes a file of so many series fastest: processes, or this one with threads."""
    from ventilator.decoder import compilation
    from ventilator.decoder.file_decoding import decode_in_turn

    cores = compilation.cores()
    count = min(cores, series // SERIES, MOST)
    if count < 2:
        yield decode_in_turn
        return
    compilation.compile_all(cores)  # once, not once a process
    decoders = Decoders(count, threads=max(1, cores // count))
    try:
        yield decoders.decode
    finally:
        decoders.end()


def _serve(asked: Connection, threads: int | None) -> None:
    """Decode whatever comes through a pipe until its other end is closed."""
    worker_start.die_with_parent()
    from ventilator.decoder import decode

    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            frame = asked.recv()
            try:
                answer: object = decode(frame, threads=threads)
            except ValueError as error:  # says what is wrong with the rows
                answer = error
            except BaseException as error:  # a panic in a library's Rust code is no Exception
                answer = from_worker(error)
            asked.send(answer)
