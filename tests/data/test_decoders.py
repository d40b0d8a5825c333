"""Processes that decode a file: the bytes of one process, whoever of them dies; none is left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.data import decoders
from ventilator import simulator
from ventilator.decoder import compilation, decode_file
from ventilator.decoder.file_decoding import Decoder


@pytest.fixture(scope="module")
def breaths(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 48 breaths."""
    folder = tmp_path_factory.mktemp("breaths")
    simulator.write_competition(folder, breaths=1, test_breaths=48, seed=3)
    return folder / "test.csv"


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few series are worth a process, and there are cores for two."""
    monkeypatch.setattr(decoders, "SERIES", 16)
    monkeypatch.setattr(decoders, "MOST", 2)
    monkeypatch.setattr(compilation, "cores", lambda: 2)


@contextmanager
def counted(series: int) -> Iterator[Decoder]:
    """Give what `for_file` does, and note how many processes it has begun."""
    with decoders.for_file(series) as decoder:
        counts.append(len(multiprocessing.active_children()))
        yield decoder


counts: list[int] = []


def test_processes_leave_the_bytes_of_one(breaths: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts.clear()
    told: list[tuple[int, int]] = []
    some = decode_file(
        breaths, tmp_path / "some.csv", progress=lambda *done: told.append(done), chunk_breaths=7, begin=counted
    )
    monkeypatch.setattr(decoders, "SERIES", 1000)
    one = decode_file(breaths, tmp_path / "one.csv", chunk_breaths=7, begin=counted)
    assert counts == [2, 0] and multiprocessing.active_children() == []
    assert some.equals(one) and some.height > 500
    assert (tmp_path / "some.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    assert told == [(done, 48) for done in (7, 14, 21, 28, 35, 42, 48)]


def test_one_that_is_killed_is_one_sentence_and_the_next_call_goes_on(breaths: Path, tmp_path: Path) -> None:
    whole, out = decode_file(breaths, tmp_path / "whole.csv", chunk_breaths=7), tmp_path / "out.csv"

    def kill_one(done: int, _: int) -> None:
        if done == 14:
            os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)

    with pytest.raises(UserError, match=r"ended with exit code -9 .*run the same command again"):
        decode_file(breaths, out, progress=kill_one, chunk_breaths=7, begin=decoders.for_file)
    assert not out.exists() and multiprocessing.active_children() == []
    (folder,) = tmp_path.glob(".out.csv.*.parts")
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("0*-*.parquet")}
    assert 2 <= len(kept) < 7
    told: list[int] = []
    assert decode_file(
        breaths, out, progress=lambda done, _: told.append(done), chunk_breaths=7, begin=decoders.for_file
    ).equals(whole)
    assert told[0] == 7 * len(kept)  # nothing of these was decoded again
    assert not folder.exists()


def test_ctrl_c_leaves_no_process(breaths: Path, tmp_path: Path) -> None:
    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_file(breaths, tmp_path / "out.csv", progress=interrupt, chunk_breaths=7, begin=decoders.for_file)
    assert multiprocessing.active_children() == []


def test_rows_that_are_refused_raise_what_the_decoder_says(breaths: Path) -> None:
    frame = pl.read_csv(breaths)
    refused = pytest.raises(ValueError, match="lacks u_in")
    with decoders.for_file(48) as decoder, refused:
        list(decoder([frame, frame.drop("u_in")]))
