"""What an answer is: truth and labels of each kind by hand, what is refused, and the page that explains it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.data import loading, metrics, readers
from foldline.data.roles import DataConfig
from foldline.data.submission_addresses import Addresses
from foldline.data.table import Table
from foldline.data.task import Task

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "tasks.md"
PATH = Path("train.csv")
SERIES = {"level": "series", "key": "s", "order": "t", "inputs": ("x",)}


def config(kind: str, target: tuple[str, ...] = ("y",), metric: str = "log_loss", **more: Any) -> DataConfig:
    return DataConfig(**{**SERIES, "target": target, "kind": kind, "metric": metric, **more})


def encoded(data: DataConfig, **columns: list[Any]) -> tuple[Task, list[list[float]]]:
    frame = pl.DataFrame(columns)
    task = Task.of(data, frame, PATH)
    return task, task.encode(frame, PATH).tolist()


def test_classes_are_sorted_and_one_hot() -> None:
    task, truth = encoded(config("multiclass"), y=["b", "a", "c", "a"])
    assert task.classes == task.columns == ("a", "b", "c")
    assert truth == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert task.labels(np.array([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3]])).to_list() == ["b", "a"]


def test_numbers_as_labels_stay_numbers() -> None:
    task, truth = encoded(config("multiclass"), y=[10, 2, 10])
    assert task.classes == (2, 10) and truth == [[0, 1], [1, 0], [0, 1]]
    assert task.labels(np.array(truth)).to_list() == [10, 2, 10]


def test_a_missing_label_is_nan() -> None:
    _, truth = encoded(config("multiclass"), y=["b", None, "a"])
    np.testing.assert_array_equal(truth, [[0, 1], [np.nan, np.nan], [1, 0]])
    _, flags = encoded(config("multilabel", ("y", "z")), y=["TRUE", None], z=["true", "false"])
    np.testing.assert_array_equal(flags, [[1, 1], [np.nan, 0]])


def test_grades_of_half_a_point_are_in_the_order_of_numbers() -> None:
    """Where one grade is no whole number all are text, and "10.5" is before "9" there."""
    task, truth = encoded(config("ordinal", metric="qwk"), y=["9", "10.5", "0.5"])
    assert task.classes == ("0.5", "9", "10.5") and truth == [[1], [2], [0]]
    for labels in (["9", "10+"], ["1.5", "1.50"], ["1.5", "inf"]):
        with pytest.raises(UserError, match="whose order only you know"):
            encoded(config("ordinal", metric="qwk"), y=labels)


@pytest.mark.parametrize("labels", [[0, 1], ["false", "true"], ["False", "True"], ["FALSE", "TRUE"]])
def test_flags_need_no_order(labels: list[Any]) -> None:
    task, truth = encoded(config("binary"), y=[labels[1], labels[0]])
    assert task.classes == tuple(labels) and truth == [[1.0], [0.0]]


def test_of_two_text_labels_the_second_is_meant() -> None:
    task, truth = encoded(config("binary", classes=("sick", "healthy")), y=["healthy", "sick"])
    assert truth == [[1.0], [0.0]] and task.labels(np.array([[0.5], [0.49]])).to_list() == ["healthy", "sick"]
    with pytest.raises(UserError, match=r"say which one .* data.classes = \['healthy', 'sick'\]"):
        encoded(config("binary"), y=["healthy", "sick"])


def test_ranks_follow_the_given_order() -> None:
    data = config("ordinal", metric="qwk", classes=("none", "mild", "severe"))
    task, truth = encoded(data, y=["mild", "severe", "none"])
    assert truth == [[1.0], [2.0], [0.0]]
    assert task.labels(np.array([[0.4], [1.6], [9.0], [-3.0]])).to_list() == ["none", "severe", "severe", "none"]
    with pytest.raises(UserError, match="whose order only you know"):
        encoded(config("ordinal", metric="qwk"), y=["mild", "severe", "none"])


def test_votes_become_shares() -> None:
    _, truth = encoded(config("distribution", ("y", "z"), "kl"), y=[3, 0], z=[1, 5])
    assert truth == [[0.75, 0.25], [0.0, 1.0]]
    with pytest.raises(UserError, match=r"row 2 .*must not be below 0, nor all 0, but are 0, 0"):
        encoded(config("distribution", ("y", "z"), "kl"), s=[7, 8], y=[3.0, 0.0], z=[1.0, 0.0])


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("multiclass", ["a", "a"], "must hold between 2 and 1,000 labels"),
        ("binary", [0, 1, 2], "must hold 2 labels, because data.kind is 'binary', but holds 3"),
    ],
)
def test_labels_that_a_kind_cannot_have(kind: str, values: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        encoded(config(kind), y=values)
    with pytest.raises(UserError, match=r"must hold just the labels of data\.classes, a, b, but holds a, c"):
        encoded(config("multiclass", classes=("a", "b")), y=["a", "c"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"kind": "multiclass", "target": ("y", "z")}, "needs one column as target"),
        ({"kind": "distribution", "target": ("y",)}, "needs two columns or more"),
        ({"kind": "regression", "classes": ("a", "b")}, "classes are labels of one column"),
        ({"kind": "binary", "metric": ""}, "metric must be given for kind = 'binary'"),
        ({"kind": "binary", "scored": "x > 0"}, "leave it out"),
        ({"kind": "binary", "level": "step"}, 'only with level = "series" may it be left out'),
        ({"kind": "binary", "observed": 2}, "observed is for numbers at every step"),
    ],
)
def test_keys_that_do_not_go_together(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataConfig(**{**SERIES, "target": ("y",), "metric": "log_loss", **more})


def test_a_layout_follows_the_sample_then_the_metric() -> None:
    frame = pl.DataFrame({"y": ["C", "D"]})
    by_f1 = Task.of(config("multiclass", metric="f1"), frame, PATH)
    by_log_loss = Task.of(config("multiclass"), frame, PATH)
    assert layout(by_f1, None) == (("y",), True)
    assert layout(by_log_loss, None) == (("C", "D"), False)
    assert layout(by_f1, ["s", "Status_D", "Status_C"]) == (("Status_C", "Status_D"), False)
    with pytest.raises(UserError, match="no column for the class 'D'"):
        layout(by_f1, ["s", "C"])
    assert not layout(Task.of(config("binary", metric="auc"), pl.DataFrame({"y": [0, 1]}), PATH), None)[1]


def layout(task: Task, sample: list[str] | None) -> tuple[tuple[Any, ...], bool]:
    """The columns of a submission, and whether they hold labels."""
    frame = pl.DataFrame({"s": [1], "t": [0.0], "x": [0.0]})
    table = Table(Path("test.csv"), task.data, frame, np.array([1]), classes=task.classes)
    found = Addresses.of(table, sample, Path("sample_submission.csv"))
    return found.columns, found.labels


ROWS = {"s": [1, 1, 2, 3], "t": [0.0, 1.0, 0.0, 0.0], "x": [0.1, 0.2, 0.3, 0.4]}


def loaded(folder: Path, data: DataConfig, labels: dict[str, list[Any]] | None = None, **columns: list[Any]) -> Any:
    pl.DataFrame({**ROWS, **columns}).write_csv(folder / "train.csv")
    if labels is not None:
        pl.DataFrame(labels).write_csv(folder / "train_labels.csv")
    return loading.load_table(readers.locate(folder, "train"), data, labelled=True)


def test_a_series_has_one_answer_the_row_of_which_is_its_last(tmp_path: Path) -> None:
    table = loaded(tmp_path, config("regression", metric="mae"), y=[2.5, 2.5, 3.5, None])
    assert table.answers["x"].to_list() == [0.2, 0.3, 0.4] and table.answers_of_series.tolist() == [1, 1, 1]
    np.testing.assert_array_equal(table.y[:, 0], [2.5, 3.5, np.nan])
    assert table.scored.tolist() == [True, True, False]  # the last series is unlabelled
    with pytest.raises(UserError, match=r"'y' is the answer of a series, so .* in s 1 it changes from 2.5 to 2.6"):
        loaded(tmp_path, config("regression", metric="mae"), y=[2.5, 2.6, 3.5, 1.0])


def test_labels_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    data = config("multiclass", labels="train_labels")
    table = loaded(tmp_path, data, {"s": [3, 1], "y": ["b", "a"]})
    assert table.classes == ("a", "b") and table.scored.tolist() == [True, False, True]
    with pytest.raises(UserError, match="names s 3 more than once"):
        loaded(tmp_path, data, {"s": [3, 3], "y": ["b", "a"]})
    with pytest.raises(UserError, match=r"names 1 that are not there \(first: s 9\)"):
        loaded(tmp_path, data, {"s": [9, 3], "y": ["b", "a"]})


def test_a_group_is_constant_inside_a_series(tmp_path: Path) -> None:
    data = config("regression", metric="mae", group="who")
    assert loaded(tmp_path, data, y=[1.0] * 4, who=["a", "a", "b", "a"]).groups.tolist() == [0, 1, 0]
    with pytest.raises(UserError, match="'who' is the group of a series, so it must be constant"):
        loaded(tmp_path, data, y=[1.0] * 4, who=["a", "b", "b", "a"])


@pytest.mark.parametrize("kind", ["regression", "binary", "multilabel", "multiclass", "ordinal", "distribution"])
def test_the_page_names_the_metrics_of_each_kind(kind: str) -> None:
    (row,) = re.findall(rf"^\| {kind} \|.*\| ([a-z0-9_, ]+) \|$", PAGE.read_text(), re.M)
    assert row.split(", ") == metrics.names_for(kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_labels_stored_as_floats_are_missing_where_they_are_nan(kind: str, tmp_path: Path) -> None:
    """So pandas writes whole numbers of which some are missing; NaN must not become a class."""
    target = ("y", "z") if kind == "multilabel" else ("y",)
    data, stored = config(kind, target, metric="f1"), tmp_path / "train.parquet"
    floats = {name: [1.0, 1.0, float("nan"), 0.0] for name in target}
    pl.DataFrame({**ROWS, **floats}).write_parquet(stored)
    table = loading.load_table(stored, data, labelled=True)
    assert table.classes == ((0, 1) if kind == "multiclass" else ()) and table.scored.tolist() == [True, False, True]
    pl.DataFrame({**ROWS, **floats, "y": [1.0, 1.0, float("inf"), 0.0]}).write_parquet(stored)
    with pytest.raises(UserError, match="'y' must hold labels, but holds inf"):
        loading.load_table(stored, data, labelled=True)


def test_a_file_of_labels_names_a_series_in_each_row(tmp_path: Path) -> None:
    pl.DataFrame({"s": ["1", None, "odd"], "y": [0, 1, 1]}).write_csv(tmp_path / "given.csv")
    pl.DataFrame(ROWS).write_csv(tmp_path / "train.csv")
    with pytest.raises(UserError, match="must name a series in each row, but 's' is empty in row 2"):
        loading.load_table(tmp_path / "train.csv", config("multiclass", labels="given"), labelled=True)


def test_a_fingerprint_holds_the_names_of_series_also_where_they_are_the_ids() -> None:
    """A feature may read them; names of rows it never does."""

    def fingerprint(data: DataConfig, **columns: list[Any]) -> str:
        frame = pl.DataFrame({"t": [0.0, 1.0], "x": [1.0, 2.0], **columns})
        return Table(PATH, data, frame, np.array([1, 1])).fingerprint

    own, steps = config("regression", metric="mae"), config("regression", metric="mae", level="step", id="i")
    assert fingerprint(own, s=["a", "b"]) != fingerprint(own, s=["a", "c"])
    assert fingerprint(steps, s=["a", "b"], i=[1, 2]) == fingerprint(steps, s=["a", "b"], i=[3, 4])
