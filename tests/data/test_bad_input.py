"""Bad input gets one clear sentence and exit code 2 before anything is trained, and nothing is left half-written."""

from __future__ import annotations

import errno
import re
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import tiny
from refusals import refused

from foldline.cli.main import main
from foldline.core import files

Tables = dict[str, pl.DataFrame]


def at_row(table: pl.DataFrame, column: str, row: int, value: object) -> pl.DataFrame:
    """The table with one value changed (as text, so that any value fits)."""
    values: list[str | None] = [str(item) for item in table[column].to_list()]
    values[row] = None if value is None else str(value)
    return table.with_columns(pl.Series(column, values))


def changed(stem: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Tables], Tables]:
    """A change of one of the tables."""
    return lambda tables: {**tables, stem: change(tables[stem])}


def with_train_series(tables: Tables) -> Tables:
    """The first training series is in the test table too."""
    shared = tables["train"].filter(pl.col("ride") == 3).drop("speed").with_columns(pl.col("row") + 10_000_000)
    test = pl.concat([tables["test"], shared])
    return {**tables, "test": test, "sample_submission": test.select("row", speed=pl.lit(0.0))}


BAD_TABLES: dict[str, tuple[Callable[[Tables], Tables], str]] = {
    "missing column": (changed("train", lambda t: t.drop("power")), "lacks a column that [data] names"),
    "misspelt column": (changed("train", lambda t: t.rename({"power": "powr"})), "Did you mean 'powr'?"),
    "missing column of test": (changed("test", lambda t: t.drop("bike")), "test.csv lacks a column"),
    "text in a number": (changed("train", lambda t: at_row(t, "power", 13, "strong")), "line 15: column 'power' must"),
    "inf in an input": (
        changed("train", lambda t: at_row(t, "power", 4, "inf")),
        "row 5 (row 1004): 'power' must be a finite number, but is inf; 1 such row. Write the right number, or leave",
    ),
    "null in the order": (
        changed("train", lambda t: at_row(t, "second", 4, None)),
        "row 5 (row 1004): 'second' must be a finite number, but is empty; 1 such row. Write it: only inputs may",
    ),
    "a condition on a missing input": (
        changed("test", lambda t: at_row(t, "coasting", 0, "NaN")),
        "is neither true nor false in 1 rows (first: row 1). Say what counts there, for instance by coalesce",
    ),
    "inf in the target": (
        changed("train", lambda t: at_row(t, "speed", 7, "inf")),
        "'speed' must be a finite number where the row is scored, but is inf; 1 such row. Fill it, leave",
    ),
    "null in the key": (
        changed("train", lambda t: at_row(t, "ride", 2, None)),
        "'ride' must have a value, but is empty; 1 such row.",
    ),
    "NaN in a static": (
        changed("train", lambda t: at_row(t, "bike", 2, "NaN").with_columns(pl.col("bike").cast(pl.Float64))),
        "'bike' is static, so it must be constant inside a series, but in ride 1 it changes from 20.0 to None",
    ),
    "duplicated id": (changed("train", lambda t: at_row(t, "row", 5, 1004)), "'row' must name each row once, but 1004"),
    "time goes back": (changed("train", lambda t: at_row(t, "second", 12, 0.2)), "in ride 2 it goes from 0.5 to 0.2"),
    "time stands still": (changed("train", lambda t: at_row(t, "second", 12, 0.5)), "'second' must increase inside"),
    "static changes": (changed("train", lambda t: at_row(t, "bike", 5, 99)), "in ride 1 it changes from 20 to 99"),
    "test series in train": (with_train_series, "must not be in the training data too, but 1 are (first: ride 3)"),
    "nothing scored": (changed("test", lambda t: t.with_columns(coasting=1)), "no row fulfils data.scored"),
    "sample of other rows": (
        changed("sample_submission", lambda t: t[:-1]),
        "but lacks 1 of them (first: row 501039).",
    ),
    "sample names another row": (
        changed("sample_submission", lambda t: at_row(t, "row", 39, 7)),
        "but lacks 1 of them (first: row 501039) and names 1 that are not there (first: row 7). Take both files",
    ),
    "sample repeats a row": (
        changed("sample_submission", lambda t: at_row(t, "row", 1, 501000)),
        "but lacks 1 of them (first: row 501001) and names row 501000 more than once.",
    ),
    "sample without a target": (changed("sample_submission", lambda t: t.drop("speed")), "sample_submission.csv lacks"),
    "sample with a column of nobody": (
        changed("sample_submission", lambda t: t.with_columns(odd=1)),
        "must have the columns row, speed, but has row, speed, odd",
    ),
    "no training table": (lambda tables: {k: v for k, v in tables.items() if k != "train"}, "no train with one of"),
    "header only": (changed("train", lambda t: t.clear()), "train.csv has a header but no rows"),
}


@pytest.mark.parametrize("what", BAD_TABLES)
def test_bad_tables(what: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, message = BAD_TABLES[what]
    tiny.install(home, tiny.write(tmp_path / "rides", change(tiny.frames())))
    assert message in refused(["train", "rides"], home, capsys)


def test_the_folds_of_other_data_are_refused(rides: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("folds", "rides")
    capsys.readouterr()
    tiny.write(rides, tiny.frames(train_series=14))
    message = refused(["train", "rides"], home, capsys)
    assert "was made for other data: 2 series" in message
    assert f"Rebuild it with `./run.sh folds rides data.source={rides} --force`, or name" in message


def test_a_disk_that_is_too_small_is_refused_before_training(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 0))
    message = refused(["train", "rides"], home, capsys)
    assert re.search(r"train.csv needs about \d+\.\d KiB, but 0 bytes are free", message)


def test_a_disk_that_fills_up_ends_in_one_message_and_the_same_command_goes_on(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, array: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_array", full)
        assert main(["train", "rides"]) == 2
    err = capsys.readouterr().err
    assert "No space is left on the disk" in err and "Traceback" not in err
    left = tiny.tree(home / "runs")
    assert not any("done.json" in name or "meta.json" in name or "experiment.json" in name for name in left)
    tiny.run("train", "rides")


@pytest.mark.parametrize("value", [1e308, 1e30])
@pytest.mark.parametrize("stem", ["train", "test"])
def test_an_extreme_input_is_refused_before_training_and_leaves_no_fold_file(
    stem: str, value: float, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = tiny.frames()
    spoilt = {**tables, stem: at_row(tables[stem], "power", 13, value)}
    tiny.write(rides, spoilt)
    assert main(["train", "rides"]) == 2
    assert "A feature must be finite in float32, and so must its square (below 1.8e+19)" in capsys.readouterr().err
    assert not list(home.rglob("folds/*")) and not list(home.rglob("cells/*"))
    if stem == "train":  # as the message says, that series is dropped
        tiny.write(rides, {**spoilt, stem: tables[stem].filter(pl.col("ride") != 2)})
        tiny.run("train", "rides", "--dry-run")


@pytest.mark.parametrize(
    ("objective", "speed", "message"),
    [
        ("poisson", pl.col("speed") - 100, "objective = 'poisson' needs targets not below 0, nor all 0, but 'speed' g"),
        ("tweedie", pl.col("speed") * 0, "'speed' goes from 0 to 0 outside fold 0"),
        ("gamma", pl.col("speed").clip(0.0, 1.0) - 0.5, "objective = 'gamma' needs targets above 0, but"),
        (
            "rmspe",
            (pl.col("speed") > 1) * 1.0,
            "objective = 'rmspe' needs targets other than 0, but 'speed' goes from 0",
        ),
        ("gamma", pl.col("speed") * 0 + 1e-60, "objective = 'gamma' needs targets above 0"),
        (
            "l1",
            pl.col("speed") * 1e39,
            "LightGBM keeps targets in float32, whose largest number is 3.4e38, but 'speed'",
        ),
    ],
)
def test_targets_that_an_objective_does_not_allow(
    objective: str, speed: pl.Expr, message: str, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = tiny.frames()
    tiny.write(rides, {**tables, "train": tables["train"].with_columns(speed=speed)})
    assert message in refused(["train", "rides", f"model.1.objective={objective}"], home, capsys)


def test_targets_above_0_are_fine_for_every_objective(rides: Path) -> None:
    tables = tiny.frames()
    tiny.write(rides, {**tables, "train": tables["train"].with_columns(speed=pl.col("speed") + 1.0)})
    for objective in ("poisson", "tweedie", "gamma"):
        tiny.run("train", "rides", f"model.1.objective={objective}", "--dry-run")


def test_debug_shows_the_traceback_and_keeps_the_exit_code(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "nosuch", "--debug"]) == 2
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err and "unknown config 'nosuch'" in err
