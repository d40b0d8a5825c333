"""The gate before packing: only what answers as `infer` does, each time and in any order, and in time, is packed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
from tiny_classes import Songs
from tiny_serving import Served

from foldline.cli.main import main
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data.table import Table
from foldline.experiment.serve_config import ServeConfig
from foldline.serve import calls, gate, load
from foldline.serve.answers import Answers
from foldline.serve.loaded_model import Model

QUIET = Terminal(quiet=True)
SERIES = ServeConfig(per="series")


@pytest.fixture(autouse=True)
def _home(trained_once: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The trained rides; the gate only adds predictions to it."""
    monkeypatch.setenv("FOLDLINE_HOME", str(trained_once / "home"))
    monkeypatch.chdir(tmp_path)


def test_what_passes_is_said_with_the_time_that_the_hidden_test_will_take() -> None:
    serve = ServeConfig(per="series", calls=3500)
    passed = gate.check(load("rides"), serve, QUIET)
    assert (passed.series, passed.calls, passed.expected) == (4, 4, 3500) and passed.largest < gate.NEARLY
    assert passed.seconds == passed.p99 * 3500 and 0 < passed.p50 <= passed.p99
    said = passed.in_words(serve)
    assert said.startswith("4 series in 4 calls are answered as by infer (") and "3,500 calls take" in said
    speed = pl.read_csv(max(Path(load("rides").stored.folder).glob("submission.csv")))["speed"]
    assert passed.fall_back == {"speed": pytest.approx(np.median(speed))}


def test_a_table_in_one_call_passes_under_other_names() -> None:
    passed = gate.check(load("rides"), ServeConfig(per="table", answer=("kmh",), with_id=True), QUIET)
    assert passed.calls == passed.expected == 1 and list(passed.fall_back) == ["kmh"]


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Let served predictions be changed: `change` is applied to (table, values, number of the call)."""
    honest, state = Model.predict, {"change": lambda table, values, call: values, "calls": 0}

    def predict(self: Model, table: Table) -> np.ndarray:
        state["calls"] += 1
        return state["change"](table, honest(self, table), state["calls"])

    monkeypatch.setattr(Model, "predict", predict)
    yield state


CHANGES: dict[str, tuple[Any, str]] = {
    "other answers": (lambda table, values, call: values + 0.01, r"must be those of infer, but 40 of 40 in 'speed'"),
    "one other answer": (
        lambda table, values, call: values + 0.01 * (table.frame["row"] == 3).to_numpy()[:, None] * (call == 2),
        r"but 1 of 40 in 'speed' are not \(first: 502",
    ),
    "a state": (
        lambda table, values, call: values + 1e-9 * call,
        "the same calls have other answers when they are made",
    ),
    "the order": (
        lambda table, values, call: values if call <= 8 else values[::-1],
        "of 40 in 'speed' are not where rows come in another order",
    ),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES.keys())
def test_answers_that_differ_are_not_packed(change: Any, message: str, patched: dict[str, Any]) -> None:
    patched["change"] = change
    with pytest.raises(UserError, match=message):
        gate.check(load("rides"), SERIES, QUIET)


@pytest.fixture
def passed_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[pl.DataFrame]]]:
    """Write down what calls pass."""
    honest, batches = Answers.__call__, list[list[pl.DataFrame]]()

    def answer(self: Answers, *batch: Any) -> Any:
        batches.append(list(batch))
        return honest(self, *batch)

    monkeypatch.setattr(Answers, "__call__", answer)
    yield batches


def test_what_comes_beside_the_rows_is_cut_out_of_them(passed_on: list[list[pl.DataFrame]]) -> None:
    arguments = ("ignored", "static", "lags", "rows", "lags", "static")
    passed = gate.check(load("rides"), ServeConfig(per="table", arguments=arguments), QUIET)
    ignored, static, first, rows, second, none = passed_on[0]
    assert ignored is none is None and passed.largest < gate.NEARLY
    assert (static.columns, static.height) == (["ride", "bike"], 4)
    assert (first.columns, second.columns) == (["ride", "second", "power"], ["ride", "second", "coasting"])
    assert not {"bike", "power", "coasting"} & set(rows.columns) and rows.height == first.height == 40


def test_a_frame_beside_the_rows_that_is_joined_wrongly_is_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Answers.__call__
    monkeypatch.setattr(
        Answers,
        "__call__",
        lambda self, rows, static: honest(self, rows, static.with_columns(static["bike"].reverse())),
    )
    with pytest.raises(UserError, match="must be those of infer, but"):
        gate.check(load("rides"), ServeConfig(per="table", arguments=("rows", "static")), QUIET)


def test_the_last_steps_of_the_longest_series_are_timed_behind_all_others(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock on which a step takes as many seconds as the stream has rows of the series."""
    monkeypatch.setenv("FOLDLINE_HOME", str(home))
    flows = Served("hull")
    flows.install(home, tmp_path)
    tiny.run("train", flows.config)
    honest, clock = Answers.__call__, [0.0]

    def answer(self: Answers, *batch: Any) -> Any:
        found = honest(self, *batch)
        assert self._stream is not None
        clock[0] += sum(history.rows.height for history in self._stream._streams[0].series.values())
        return found

    monkeypatch.setattr(Answers, "__call__", answer)
    monkeypatch.setattr(gate, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    serve = ServeConfig(per="step", answer="scalar", call_limit_s=1e6, limit_h=1e6)
    passed = gate.check(load("flow1"), serve, QUIET)  # of one series with six steps, all of which are served
    assert (passed.calls, passed.known, passed.p50) == (6, 0, 3.5)
    monkeypatch.setattr(calls, "STEPS", 3)
    monkeypatch.setattr(calls, "LATE", 1)
    passed = gate.check(load("flow1"), serve, QUIET)
    assert (passed.calls, passed.known, passed.p50, passed.p99) == (3, 5, 2.0, 6.0)
    assert "behind 5 others of a series" in passed.in_words(serve)


def test_columns_that_are_named_in_another_order_hold_their_own_values(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLDLINE_HOME", str(home))
    flows = Served("jane")
    flows.install(home, tmp_path)
    tiny.run("train", flows.config)
    predictor, serve = load(flows.config), ServeConfig(per="table", answer=("y", "x"))
    answer, expected = Answers(predictor, serve)(flows.test()), predictor.predict(flows.test())
    assert answer.columns == ["y", "x"] and expected.columns[-2:] == ["x", "y"]
    assert answer.equals(expected.select("y", "x")) and not expected["x"].equals(expected["y"])
    stated = gate.check(predictor, serve, QUIET).fall_back
    assert list(stated) == ["y", "x"]
    assert stated == {name: pytest.approx(np.median(expected[name]), rel=1e-4) for name in stated}


def test_labels_must_be_equal(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLDLINE_HOME", str(home))
    songs = Songs("multiclass", metric="accuracy")
    songs.install(home, tmp_path / "songs")
    tiny.run("train", "songs")
    serve = ServeConfig(per="series", answer="scalar")
    passed = gate.check(load("songs"), serve, QUIET)
    assert passed.fall_back["answer"] in songs.labels and passed.largest == 0.0
    monkeypatch.setattr(Answers, "__call__", lambda self, *batch: "wren")
    with pytest.raises(UserError, match="of 6 in 'answer' are not"):
        gate.check(load("songs"), serve, QUIET)


LATE = {
    "a call": (
        ServeConfig(per="series", call_limit_s=1e-6),
        r"serve.call_limit_s = 1e-06 s, but takes .* ms here",
    ),
    "all calls": (
        ServeConfig(per="series", calls=10**9),
        r"serve.limit_h = 9 h, but 1,000,000,000 calls of .* ms",
    ),
}


@pytest.mark.parametrize(("serve", "message"), LATE.values(), ids=LATE.keys())
def test_what_takes_too_long_is_not_packed(serve: ServeConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        gate.check(load("rides"), serve, QUIET)


def test_a_stream_of_what_looks_ahead_is_not_packed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bundle", "rides", "serve.per=step", f"out={tmp_path / 'out'}"]) == 2
    assert "these do: the features lags" in capsys.readouterr().err and not (tmp_path / "out").exists()


COLUMNS = {
    "too few": (
        ServeConfig(per="series", answer=("a", "b")),
        r"must name the 1 columns of rides, .* names a, b",
    ),
    "several rows": (ServeConfig(per="series", answer="scalar"), "one answer a call, but 10 rows have 10"),
}


@pytest.mark.parametrize(("serve", "message"), COLUMNS.values(), ids=COLUMNS.keys())
def test_answers_of_another_form_are_refused(serve: ServeConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        gate.check(load("rides"), serve, QUIET)


def test_a_test_table_that_is_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no test with one of the endings"):
        gate.check(load("rides"), SERIES, QUIET, str(tmp_path / "empty"))


def test_unknown_keys_of_serve_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words, message in {
        "serve.pre=series": "Did you mean 'per'?",
        "serve.per=day": "serve.per must be one of",
        "server=1": "Did you mean 'serve.KEY'?",
    }.items():
        assert main(["bundle", "rides", words, f"out={tmp_path / 'out'}"]) == 2
        assert message in capsys.readouterr().err
