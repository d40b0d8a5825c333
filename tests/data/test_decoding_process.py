"""Exact rows beside the cells: the same bytes as without, a kill is gone on with, errors are one sentence."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import tiny
from quickstart import SMOKE

from foldline.core.errors import UserError
from foldline.data import decoding_process, exact_rows, loading
from foldline.data.table import Table
from foldline.experiment import config
from ventilator import simulator


@pytest.fixture
def breaths(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small simulated competition, whose few series are worth a process."""
    simulator.write_competition(tmp_path / "breaths", breaths=24, test_breaths=40, seed=3)
    monkeypatch.setattr(decoding_process, "FEWEST", 1)
    return tmp_path / "breaths"


def _test_table(breaths: Path) -> Table:
    return loading.load(config.load(Path("quickstart"), [f"data.source={breaths}"]).data).test


def test_training_beside_leaves_the_same_bytes(breaths: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = []
    for fewest in (1, 1000):
        monkeypatch.setattr(decoding_process, "FEWEST", fewest)
        tiny.run("train", "quickstart", f"data.source={breaths}", *SMOKE)
        exact = sorted((home / "runs" / "exact").iterdir())
        submission = next((home / "submissions").glob("quickstart-*.csv"))
        left.append([(path.name, path.read_bytes()) for path in (*exact, submission)])
        shutil.rmtree(home / "runs")
        submission.unlink()
    assert left[0] == left[1] and len(left[0]) == 5  # rows and checksums of two tables, submission


def test_a_kill_is_one_sentence_and_the_next_call_goes_on(breaths: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = _test_table(breaths)
    whole = exact_rows.obtain(table)
    path = exact_rows.path_of(table)
    bytes_of_all = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(exact_rows, "SERIES", 16)  # of 40
    read, asked = exact_rows._numbered, list[int]()

    def dies(table: Table, first: int, last: int) -> pl.DataFrame:
        rows = read(table, first, last)
        asked.append(rows["breath_id"].n_unique())
        if len(asked) == 2:
            os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
        return rows

    monkeypatch.setattr(exact_rows, "_numbered", dies)
    with (
        pytest.raises(UserError, match=r"ended with exit code -9 .*run the same command again"),
        decoding_process.decoding([table]) as decoding,
    ):
        assert decoding is not None
        decoding.wait(lambda done, total: None)
    assert not path.exists()
    with decoding_process.decoding([table]) as decoding:
        assert decoding is not None
        decoding.wait(lambda done, total: None)
    assert asked == [16, 16, 16, 8] and path.read_bytes() == bytes_of_all
    assert exact_rows.obtain(table).counts(table.scored) == whole.counts(table.scored)


def test_what_ends_the_block_ends_the_process_and_leaves_no_lock(breaths: Path) -> None:
    table = _test_table(breaths)
    with pytest.raises(KeyboardInterrupt), decoding_process.decoding([table]) as decoding:
        assert decoding is not None
        raise KeyboardInterrupt
    assert not decoding._thread.is_alive() and multiprocessing.active_children() == []
    assert exact_rows.obtain(table).known.any()  # would wait for the lock


def test_a_full_disk_is_an_error_of_the_block(breaths: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ventilator.decoder.file_decoding.write_rows", full)
    with pytest.raises(OSError, match="No space left"), decoding_process.decoding([_test_table(breaths)]) as decoding:
        assert decoding is not None
        decoding.wait(lambda done, total: None)


def test_a_table_of_another_shape_is_refused_before_any_process(breaths: Path) -> None:
    table = _test_table(breaths)
    table = replace(table, frame=table.frame.drop("u_in"))
    refused = pytest.raises(UserError, match=r"post\.decode = true reads the ventilator's controller")
    with refused, decoding_process.decoding([table]):
        pytest.fail("began")
