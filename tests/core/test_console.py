"""The terminal: bars only where somebody watches, colours only where they are wanted, one line for scripts."""

from __future__ import annotations

import json
import os
import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from foldline.core.console import Terminal
from foldline.run.progress import cell_bars

COLOR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody watches, unless a test says so."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def everything(terminal: Terminal) -> None:
    """A line, a table, a bar."""
    terminal.say("a [line]")
    terminal.table("a title", ["name", "number"], [["[bold]", "1.5"]])
    with terminal.bar("working", "steps") as update:
        update(1, 2)


def test_a_pipe_gets_text_without_codes_and_no_bars(capsys: pytest.CaptureFixture[str]) -> None:
    everything(Terminal())
    out = capsys.readouterr().out
    assert "\x1b" not in out and "working" not in out
    assert "a [line]" in out and "[bold]" in out and "1.5" in out


def test_names_between_colons_are_no_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.say("class red:car:2")
    terminal.table("road:bike:", ["a:dog:b"], [["x:cat:y"]])
    out = capsys.readouterr().out
    assert all(text in out for text in ("red:car:2", "road:bike:", "a:dog:b", "x:cat:y"))


def test_names_in_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """A folder, and columns with their units: a closing tag that nothing opens would end the verb."""
    terminal = Terminal()
    terminal.table("data [/old]/rides", ["speed [m/s]", "slope [/]"], [["1.5", "[red]"]])
    with terminal.bar("reading [/old]", "MB") as update:
        update(1, 2)
    out = capsys.readouterr().out
    assert all(text in out for text in ("data [/old]/rides", "speed [m/s]", "slope [/]", "[red]"))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_wider_than_the_terminal_is_printed_in_parts(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    """No number and no word is broken or cut, and each part says whose rows these are."""
    columns = ["experiment", *(f"fold {number}" for number in range(12)), "95 % over series", "blend"]
    names = ["quickstart/f9ac53ecb61b6f5f", "rides"]
    numbers = [[f"{row}.{1000 + fold}" for fold in range(12)] for row in range(2)]
    terminal = Terminal()
    terminal.console.width = width
    rows = [[name, *scores, "0.2446 to 0.5704", "lightgbm 0.96"] for name, scores in zip(names, numbers, strict=True)]
    terminal.table("the title", columns, rows)
    lines = capsys.readouterr().out.splitlines()
    for cell in (*columns[1:], *numbers[0], *numbers[1]):
        assert sum(f" {cell} " in line for line in lines) == 1
    parts = sum(" experiment " in line for line in lines)
    assert parts > 1 and all(sum(f" {name} " in line for line in lines) == parts for name in names)
    assert sum("the title" in line for line in lines) == 1 and max(map(len, lines)) <= width
    assert sum("0.2446 to 0.5704" in line for line in lines) == sum("lightgbm 0.96" in line for line in lines) == 2


@pytest.mark.parametrize("width", [30, 40])
def test_a_cell_longer_than_the_terminal_is_folded(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.console.width = width
    terminal.table("", ["name", "score", "remark"], [["x" * 90, "0.123456", "beaten by the mean of all others"]])
    out = capsys.readouterr().out
    assert out.count("x") == 90 * out.count("name") and "0.123456" in out
    assert max(map(len, out.splitlines())) <= width


def test_a_long_table_is_not_cut_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().table("", ["fold", *(f"fold {number}" for number in range(12))], [["x" * 40, *["0.1234"] * 12]])
    assert "x" * 40 in (out := capsys.readouterr().out) and out.count("0.1234") == 12


@pytest.mark.parametrize("colours", [True, False])
def test_a_terminal_gets_bars_and_colours_unless_no_color_is_set(
    colours: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.setenv("TERM", "xterm-256color")
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    everything(Terminal())
    out = capsys.readouterr().out
    assert "working (steps)" in out and "1/2" in out
    assert bool(COLOR.search(out)) is colours


def test_quiet_and_json_show_the_end_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    for terminal, expected in ((Terminal(quiet=True), "done\n"), (Terminal(as_json=True), '{"score": 0.5}\n')):
        everything(terminal)
        terminal.warn("careful")
        terminal.result({"score": 0.5}, "done")
        seen = capsys.readouterr()
        assert (seen.out, seen.err) == (expected, "warning: careful\n")
    assert json.loads(expected) == {"score": 0.5}


def test_what_has_no_value_is_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(as_json=True).result({"scores": {"one": [0.5, float("nan")]}, "low": float("-inf"), "names": ("a",)}, "")
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "scores": {"one": [0.5, None]},
        "low": None,
        "names": ["a"],
    }


def job(name: str) -> Any:
    return SimpleNamespace(key=name, cell=SimpleNamespace(name=name))


def test_cells_are_counted_and_their_progress_is_added_up(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = job("hybrid fold 0 seed 0"), job("hybrid fold 1 seed 0")
    with cell_bars(Terminal(), [one, two]) as bars:
        bars.event(one, "start", {})
        bars.event(one, "progress", {"done": 3, "of": 4})
        bars.event(two, "start", {})
        bars.event(two, "resumed", {"epoch": 1, "step": 7})
        bars.event(two, "progress", {"done": 1, "of": 4})
        (total,) = (task for task in bars.progress.tasks if task.description == "all cells")
        assert (total.completed, total.total) == (1.0, 2.0)
        bars.event(one, "epoch", {"loss": 0.25})
        bars.event(one, "done", {"metric": "mae", "held_out": 0.5})
        assert total.completed == 1.25 and len(bars.running) == 1
    assert capsys.readouterr().out.splitlines() == [
        "  hybrid fold 1 seed 0: goes on after 1 epochs and 7 steps",
        "  [1/2] hybrid fold 0 seed 0 done, mae 0.5000 on the series it held out",
    ]


def test_a_reader_of_the_output_that_goes_away_ends_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """`train | head -1`: rich ends Python, with the exit code of a finding and not a word on what is left to do."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        terminal = Terminal()
        terminal.say("one")
        terminal.table("", ["a"], [["1"]])
        terminal.result({}, "last")
