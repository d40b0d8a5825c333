"""Windows of long series: the same as cutting the files by hand; answers, files of windows, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
import tiny_windows
from refusals import refused

from foldline.core.errors import UserError
from foldline.data import folds, loading, time_spans, window_answers, windows
from foldline.data.auxiliary import AuxiliaryTarget
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.data.windows import WindowCutsConfig
from foldline.experiment import config as configs

ROLES: dict[str, Any] = {"level": "window", "key": "k", "order": "t", "inputs": ("x",), "target": ("y",)}


def table(folder: Path, train: pl.DataFrame, **more: Any) -> Table:
    train.write_csv(folder / "train.csv")
    data = DataConfig(**{**ROLES, "windows": WindowCutsConfig(length=3), "source": str(folder), **more})
    return loading.load_table(folder / "train.csv", data, labelled=True)


def series(**lengths: int) -> pl.DataFrame:
    """One series a name, with x = 0, 1, 2, ... over the file, and y = 10 x."""
    keys = [name for name, length in lengths.items() for _ in range(length)]
    steps = [float(step) for length in lengths.values() for step in range(length)]
    x = np.arange(float(len(keys)))
    return pl.DataFrame({"k": keys, "t": steps, "x": x, "y": 10 * x})


# ---------------------------------------------------------------- the contract


@pytest.mark.parametrize("apart", [False, True])
def test_it_is_the_same_as_cutting_the_files(apart: bool, home: Path, tmp_path: Path) -> None:
    """Values, features, folds, cells, submission; also where the rows of a series stand apart in the file."""
    tables, runs = tiny_windows.frames(), {}
    order = np.random.default_rng(0).permutation(tables["train"].height) if apart else slice(None)
    mixed = tables["train"][order].sort("second", maintain_order=True) if apart else tables["train"]
    places = mixed["place"].unique(maintain_order=True).to_list()
    by_hand = tiny_windows.cut_by_hand(tables["train"])
    by_hand = by_hand.sort(pl.col("whole place").replace_strict(places, range(len(places))), maintain_order=True)
    by_name = {"level": 'level = "series"', "more": 'group = "whole place"'}
    for name, train, more in (("cut", mixed, {}), ("by_hand", by_hand, by_name)):
        path = tiny_windows.install(home, tmp_path / name, {**tables, "train": train}, name=name, **more)
        runs[name] = loading.load(configs.load(path).data).train
        tiny.run("train", name)
    assert runs["cut"].frame.equals(runs["by_hand"].frame) and runs["cut"].fingerprint == runs["by_hand"].fingerprint
    assert runs["cut"].groups.tolist() == runs["by_hand"].groups.tolist() and runs["cut"].groups.max() == 3
    assert tiny.submission(home, "cut") == tiny.submission(home, "by_hand")
    made = tiny.tree(home / "runs")
    assert (
        len([path for path in made if path.startswith("cells/") and path.endswith("done.json")]) == 2
    )  # once, for both
    folds = sorted((home / "folds").glob("*.csv"))
    assert len(folds) == 2 and folds[0].read_text() == folds[1].read_text()


def test_the_windows_of_a_series_are_held_together(tmp_path: Path) -> None:
    got = table(tmp_path, series(a=5, b=2, c=7), windows=WindowCutsConfig(length=3, stride=2))
    assert got.keys.to_list() == ["a@0", "a@2", "c@0", "c@2", "c@4"]
    assert got.groups.tolist() == [0, 0, 1, 1, 1] and got.data.units == "whole ks"
    assert got.frame["x"].to_list() == [0, 1, 2, 2, 3, 4, 7, 8, 9, 9, 10, 11, 11, 12, 13]
    assert got.frame["t"].to_list() == [0, 1, 2] * 5, "as windows of test come: from their own start"
    assert got.y[:, 0].tolist() == [20, 40, 90, 110, 130]
    assert got.cut == "train.csv: 5 windows of 3 rows, cut of 3 series; 2 of 14 rows are in none"


def test_a_given_group_is_kept(tmp_path: Path) -> None:
    group = pl.when(pl.col("k") == "c").then(pl.lit("q")).otherwise(pl.lit("p")).alias("g")
    got = table(tmp_path, series(a=3, b=3, c=6).with_columns(group), group="g")
    assert got.groups.tolist() == [0, 0, 1, 1] and got.data.units == "gs"
    split = series(a=6).with_columns(pl.Series("g", ["p"] * 3 + ["q"] * 3))
    with pytest.raises(UserError, match=r"all windows of a series must be of one g, .* but k a has g p and q"):
        table(tmp_path, split, group="g")


def test_dates_and_statics_are_those_of_the_window(tmp_path: Path) -> None:
    days = pl.Series("t", [f"2024-01-0{day}" for day in range(1, 7)])
    rows = series(a=6).with_columns(days, pl.Series("s", ["u", "u", "u", "v", "v", "v"]))
    got = table(tmp_path, rows, static=("s",))
    assert got.frame["t"].to_list() == [0, 86400, 172800] * 2 and got.since_start
    assert got.frame["s"].to_list() == ["u"] * 3 + ["v"] * 3


def test_time_folds_know_when_a_window_was(tmp_path: Path) -> None:
    """By a column without a role, and by the order, which counts from the window's start in the table."""
    rows = series(a=5, b=3).with_columns(day=pl.Series([30, 31, 32, 33, 34, 1, 2, 3]))
    got = table(tmp_path, rows, windows=WindowCutsConfig(length=3, stride=2))
    spans = time_spans.read(FoldsConfig(kind="time", k=2, by="day"), got)
    assert spans.first.tolist() == [30, 32, 1] and spans.last.tolist() == [32, 34, 3]
    spans = time_spans.read(FoldsConfig(kind="time", k=2), got)
    assert spans.first.tolist() == [0, 2, 0] and spans.last.tolist() == [2, 4, 2]


def test_time_folds_hold_windows_of_one_series_apart_by_their_rows(tmp_path: Path) -> None:
    """A named group is kept together beside that; windows that lie across an origin are on neither side."""
    rows = series(a=40).with_columns(g=pl.lit("p"))
    config, cuts = FoldsConfig(kind="time", k=2), WindowCutsConfig(length=6, stride=2)
    got = table(tmp_path, rows, windows=cuts)
    made = folds.make(tmp_path / "f.csv", config, got, save=False)
    x = got.frame["x"].to_numpy().reshape(-1, 6)
    for fold in range(2):
        assert x[made.inside(fold)].max() < x[made.held_out(fold)].min()
        before = x.max(axis=1) < x[made.held_out(fold)].min()
        assert made.inside(fold).tolist() == np.flatnonzero(before).tolist(), "none besides is left out"
    with pytest.raises(UserError, match=r"has 1 whole ks\. Hold out what is later by folds.kind = 'time'"):
        folds.make(tmp_path / "f.csv", FoldsConfig(k=2), got, save=False)
    with pytest.raises(UserError, match="which share no g with those held out"):
        folds.make(tmp_path / "f.csv", config, table(tmp_path, rows, windows=cuts, group="g"), save=False)


@pytest.mark.parametrize("group", ["", "g"])
def test_a_fold_file_of_whole_series_is_taken(group: str, tmp_path: Path) -> None:
    """Also of one that has no window, and where a name looks like that of a window."""
    long = series(**{"a@0": 7, "b": 3, "short": 2, "a": 6}).with_columns(g=pl.col("k"))
    got = table(tmp_path, long, group=group)
    path = tmp_path / "own.csv"
    pl.DataFrame({"fold": [1, 0, 0, 1], "k": ["b", "a", "short", "a@0"]}).write_csv(path)
    config = FoldsConfig(k=2, file=str(path))
    assert folds.read(path, config, got).assignment.tolist() == [1, 1, 1, 0, 0]
    pl.DataFrame({"fold": [1, 0, 0], "k": ["b", "a", "a@0"]}).head(2).write_csv(path)
    with pytest.raises(UserError, match="was made for other data"):
        folds.read(path, config, got)


def test_a_fold_file_of_whole_series_is_taken_whatever_the_key_is_called(tmp_path: Path) -> None:
    got = table(tmp_path, series(a=7, b=3).rename({"k": "series"}), key="series")
    path = tmp_path / "own.csv"
    pl.DataFrame({"series": ["b", "a"], "fold": [0, 1]}).write_csv(path)
    assert folds.read(path, FoldsConfig(k=2, file=str(path)), got).assignment.tolist() == [1, 1, 0]


@pytest.mark.parametrize("answer", ["last", "mean"])
def test_the_answers_of_whole_series_may_have_a_file_of_their_own(answer: Any, tmp_path: Path) -> None:
    pl.DataFrame({"k": ["b", "a"], "y": [1.5, 2.5], "z": [4, 3]}).write_csv(tmp_path / "answers.csv")
    beside = AuxiliaryTarget(target=("z",))
    cuts = WindowCutsConfig(length=3, answer=answer)
    got = table(tmp_path, series(a=6, b=3).drop("y"), windows=cuts, labels="answers", auxiliary=(beside,))
    assert got.y[:, 0].tolist() == [2.5, 2.5, 1.5] and got.auxiliary[0][1][:, 0].tolist() == [3, 3, 4]


def test_names_of_windows_are_told_apart() -> None:
    places = windows.by_stride(np.array([9, 2, 4]), WindowCutsConfig(length=4, stride=2))
    assert places.series.tolist() == [0, 0, 0, 2] and places.first.tolist() == [0, 2, 4, 0]
    assert windows.rows_left_over(places, np.array([9, 2, 4]), 4) == 3


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("answer", "kind", "labels", "expected"),
    [
        ("first", "regression", [1.0, 2.0, 6.0, None, None, None], [1.0, None]),
        ("last", "regression", [1.0, 2.0, 6.0, 3.0, 3.0, 4.0], [6.0, 4.0]),
        ("mean", "regression", [1.0, 2.0, 6.0, None, 3.0, 4.0], [3.0, 3.5]),
        ("max", "regression", [1.0, 7.0, 6.0, None, None, None], [7.0, None]),
        ("max", "binary", [0, 1, 0, 0, 0, 0], [1, 0]),
        ("max", "ordinal", ["low", "high", "middle", "low", None, "middle"], ["high", "middle"]),
        ("majority", "multiclass", ["b", "a", "b", None, None, "c"], ["b", "c"]),
        ("majority", "multiclass", ["b", "a", "c", "c", "b", None], ["a", "b"]),
    ],
)
def test_the_answer_of_a_window(answer: Any, kind: Any, labels: list[Any], expected: list[Any]) -> None:
    classes = ("low", "middle", "high") if kind == "ordinal" else ()
    data = DataConfig(
        **{**ROLES, "kind": kind, "metric": "mae", "classes": classes},  # type: ignore[arg-type]
        windows=WindowCutsConfig(length=3, answer=answer),
    )
    rows = np.arange(6, dtype=np.uint32).reshape(2, 3)
    found = window_answers.of_rows(Path("train.csv"), pl.DataFrame({"y": labels}), rows, data)
    assert [None if value != value else value for value in found["y"].to_list()] == expected


def test_shares_and_flags(tmp_path: Path) -> None:
    rows = pl.DataFrame({"p": [1.0, 3.0], "q": [1.0, 0.0]})
    both = np.array([[0, 1]], dtype=np.uint32)
    data = DataConfig(
        **{**ROLES, "target": ("p", "q"), "kind": "distribution", "metric": "kl"},
        windows=WindowCutsConfig(length=2, answer="mean"),
    )
    assert window_answers.of_rows(Path("x"), rows, both, data).row(0) == (2.0, 0.5)
    data = DataConfig(
        **{**ROLES, "target": ("p", "q"), "kind": "multilabel", "metric": "auc"},
        windows=WindowCutsConfig(length=2, answer="max"),
    )
    flags = pl.DataFrame({"p": ["false", "true"], "q": ["false", "false"]})
    assert window_answers.of_rows(Path("x"), flags, both, data).row(0) == (1, 0)


def test_an_answer_that_the_kind_does_not_have_is_refused() -> None:
    for answer, kind in (("mean", "multiclass"), ("max", "distribution"), ("majority", "regression")):
        with pytest.raises(ValueError, match=f"windows.answer = '{answer}' is made for .* but kind is '{kind}'"):
            DataConfig(
                **{**ROLES, "target": ("y", "z"), "kind": kind, "metric": "kl"}
                | ({"target": ("y",)} if kind != "distribution" else {}),
                windows=WindowCutsConfig(length=3, answer=answer),
            )  # type: ignore[arg-type]


# ---------------------------------------------------------------- a file of windows


def with_file(tmp_path: Path, rows: dict[str, list[Any]], long: pl.DataFrame | None = None, **more: Any) -> Table:
    pl.DataFrame(rows).write_csv(tmp_path / "labels.csv")
    of_file = {"file": "labels", "offset": "at", **more.pop("windows", {})}
    long = series(a=6, b=5).drop("y") if long is None else long
    return table(tmp_path, long, windows=WindowCutsConfig(length=3, **of_file), **more)


def test_a_file_says_where_windows_lie(tmp_path: Path) -> None:
    """In any order; two of one start; offsets as values of the order, at the first row not before them."""
    got = with_file(
        tmp_path, {"k": ["b", "a", "a", "a"], "at": [2.0, 1.5, 0.0, 0.0], "y": [1, 2, 3, None], "more": [0] * 4}
    )
    assert got.keys.to_list() == ["a@0", "a@0.1", "a@2", "b@2"]
    assert got.frame["x"].to_list() == [0, 1, 2, 0, 1, 2, 2, 3, 4, 8, 9, 10]
    np.testing.assert_array_equal(got.y[:, 0], [3, np.nan, 2, 1])
    assert got.groups.tolist() == [0, 0, 0, 1]


def test_dates_of_another_file_may_be_finer(tmp_path: Path) -> None:
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, 6), eager=True)
    long = series(a=6).drop("y").with_columns(days.alias("t"))
    got = with_file(tmp_path, {"k": ["a", "a"], "at": ["2024-01-02 12:00:00.5", "2024-01-01"], "y": [1, 2]}, long)
    assert got.keys.to_list() == ["a@0", "a@2"] and got.y[:, 0].tolist() == [2, 1]


def test_offsets_count_rows_by_a_rate_and_a_file_may_have_groups_and_weights(tmp_path: Path) -> None:
    rows = {"k": ["a", "b"], "at": [0.2, 0.1], "y": [1, 2], "who": ["u", "u"], "w": [1.0, 2.0]}
    got = with_file(tmp_path, rows, windows={"rate": 10}, group="who", weight="w")
    assert got.keys.to_list() == ["a@2", "b@1"] and got.groups.tolist() == [0, 0] and got.data.units == "whos"
    assert got.weight is not None and got.weight.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        ({"k": ["a", "z"], "at": [0, 0]}, {}, r"labels.csv, row 2 \(k z\): it must name a series of .*train.csv"),
        ({"k": ["a", "b"], "at": [0, 3]}, {}, r"row 2 \(k b\): .* 3 rows from at 3.0 are rows 4 to 6 of 5; 1 such"),
        ({"k": ["a", "b"], "at": [-1, 0]}, {}, r"row 1 \(k a\): a window must lie in its series"),
        ({"k": ["a", "b"], "at": [0, 30]}, {"rate": 0.1}, r"row 2 \(k b\): .* are rows 4 to 6 of 5"),
        ({"k": ["a", "b"], "at": [None, 0]}, {}, r"row 1 \(k a\): 'at' must be a finite number, but is empty"),
        ({"k": ["a", "b"], "at": ["2024-01-01", "2024-01-02"]}, {}, "'at' must be of the kind that 't' is in"),
        ({"k": ["a", "b"], "when": [0, 0]}, {}, "labels.csv lacks a column that .data. names.*'at'"),
    ],
)
def test_a_wrong_file_of_windows_is_refused(
    rows: dict[str, list[Any]], more: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        with_file(tmp_path, {**rows, "y": [1, 2]}, windows=more)


def test_a_rate_needs_equal_steps(tmp_path: Path) -> None:
    long = series(a=6, b=5).drop("y").with_columns(pl.when(pl.col("x") < 9).then("t").otherwise(pl.col("t") * 3))
    with pytest.raises(UserError, match=r"steps of 't' must be equal, but in k b it goes from 2 to 9, where others"):
        with_file(tmp_path, {"k": ["a"], "at": [0], "y": [1]}, long, windows={"rate": 1})


# ---------------------------------------------------------------- what is refused

BAD_CONFIGS = {
    "no length": ('level = "window"', "needs the rows of a window"),
    "windows of a series": ('level = "series"\nwindows = {length = 6}', "windows are cut with level = "),
    "a negative stride": ('level = "window"\nwindows = {length = 6, stride = -1}', "must not be below 0"),
    "a file without offset": ('level = "window"\nwindows = {length = 6, file = "labels"}', "file needs offset"),
    "an offset without file": ('level = "window"\nwindows = {length = 6, offset = "at"}', "are for a file of windows"),
    "an offset that is the target": (
        'level = "window"\nwindows = {length = 6, file = "labels", offset = "strain"}',
        "windows.offset must be a column of its own, but 'strain' has another role",
    ),
    "weights of rows for a mean": (
        'level = "window"\nwindows = {length = 6, answer = "mean"}\nweight = "load"',
        "Take windows.answer = 'last' or 'first'",
    ),
    "a file and a stride": (
        'level = "window"\nwindows = {length = 6, stride = 2, file = "labels", offset = "at"}',
        "leave stride and answer out",
    ),
    "a majority of numbers": (
        'level = "window"\nwindows = {length = 6, answer = "majority"}',
        "is made for binary, multiclass, multilabel, ordinal, but kind is 'regression'",
    ),
    "scored rows": (tiny_windows.BY_ROWS + '\nscored = "load > 0"', 'with level = "window" leave it out'),
    "no window fits": ('level = "window"\nwindows = {length = 30}', "no window of 30 rows fits"),
    "a test series that is longer": (
        'level = "window"\nwindows = {length = 5}',
        "at most data.windows.length = 5 rows, but place t0 has 6; 5 such series",
    ),
    "a file that is not there": ('level = "window"\nwindows = {length = 6, file = "no", offset = "at"}', "no no with"),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_wrong_config_is_refused(case: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    level, message = BAD_CONFIGS[case]
    tiny_windows.install(home, tmp_path / "bridge", tiny_windows.frames(), level)
    assert message in refused(["train", "bridge"], home, capsys)


BAD_TRAINS: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "an order that goes back": (
        lambda train: train.with_columns(pl.when(pl.col("second") == 16).then(3.0).otherwise("second").alias("second")),
        "'second' must increase inside a series, but in place north it goes from 15.0 to 3.0",
    ),
    "no answer at all": (lambda train: train.with_columns(strain=pl.lit(None)), "nothing to learn from"),
}


@pytest.mark.parametrize("case", BAD_TRAINS)
def test_a_wrong_table_is_refused(case: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, message = BAD_TRAINS[case]
    tables = tiny_windows.frames()
    tiny_windows.install(home, tmp_path / "bridge", {**tables, "train": change(tables["train"])})
    assert message in refused(["train", "bridge"], home, capsys)
