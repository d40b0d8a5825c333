"""A line a minute about long work where nobody watches, by a clock of the tests' own: nothing here takes real time."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from foldline.core.console import Terminal
from foldline.core.heartbeat import NEW_S, Heartbeat, line
from foldline.run.progress import cell_bars

PATIENCE_S = 250.0  # of a thread for the other one


@dataclass
class Minutes:
    """A clock that the waits of a heartbeat move on: each is over at once, until there have been `waits` of them."""

    waits: int
    now: float = 1000.0
    begun: threading.Event = field(default_factory=threading.Event)  # set by a test: the first wait may end
    over: threading.Event = field(default_factory=threading.Event)  # all lines of these waits have been said

    def clock(self) -> float:
        return self.now

    def wait(self, ended: threading.Event, seconds: float) -> bool:
        self.begun.wait(PATIENCE_S)
        if self.waits == 0:
            self.over.set()
            return ended.wait(PATIENCE_S)
        self.waits, self.now = self.waits - 1, self.now + seconds
        return False

    def let_pass(self) -> None:
        """Let all waits pass, and return when what is due then has been said."""
        self.begun.set()
        assert self.over.wait(PATIENCE_S)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody watches, unless a test says so."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def terminal_by(minutes: Minutes, **options: bool) -> Terminal:
    """A terminal whose heartbeat goes by this clock."""
    terminal = Terminal(**options)
    terminal.heartbeat = Heartbeat(terminal.say, minutes.clock, minutes.wait)
    return terminal


def test_a_line_a_minute_says_what_is_done_of_what_and_how_long_it_may_take(capsys: pytest.CaptureFixture[str]) -> None:
    minutes = Minutes(waits=2)
    with terminal_by(minutes).bar("decoding", "series") as update:
        update(1_500, 6_000)
        minutes.let_pass()
    assert capsys.readouterr().out.splitlines() == [
        "  decoding (series): 1,500 of 6,000 after 60 s, about 3.0 min left",
        "  decoding (series): 1,500 of 6,000 after 2.0 min, about 6.0 min left",
    ]


def test_work_of_unknown_length_says_how_long_it_has_taken(capsys: pytest.CaptureFixture[str]) -> None:
    minutes = Minutes(waits=1)
    with terminal_by(minutes).bar("weighing", "nested"):
        minutes.let_pass()
    assert capsys.readouterr().out == "  weighing (nested): 60 s so far\n"


def test_the_time_of_a_second_table_begins_anew(capsys: pytest.CaptureFixture[str]) -> None:
    minutes = Minutes(waits=1)
    with terminal_by(minutes).bar("features", "series") as update:
        update(500, 500)
        minutes.now += 40
        update(10, 110)
        update(60, 110)
        minutes.let_pass()
    # 50 in the time since then, and 50 are left; how long that is depends on when the first wait began
    assert re.fullmatch(r"  features \(series\): 60 of 110 after (.+), about \1 left\n", capsys.readouterr().out)


def test_minutes_are_those_of_the_verb_but_a_new_step_waits(capsys: pytest.CaptureFixture[str]) -> None:
    minutes = Minutes(waits=1)
    terminal = terminal_by(minutes)
    minutes.now += 50  # of steps before
    with terminal.bar("features", "series") as update:
        update(1, 2)
        minutes.let_pass()
    late = Minutes(waits=1, now=minutes.now + 100)
    terminal.heartbeat.clock, terminal.heartbeat.wait = late.clock, late.wait
    with terminal.bar("decoding", "series") as update:
        update(1, 3)
        late.let_pass()
    assert capsys.readouterr().out.splitlines() == [
        "  features (series): 1 of 2 after 10 s, about 10 s left",
        f"  decoding (series): 1 of 3 after {NEW_S:g} s, about {2 * NEW_S:g} s left",
    ]


@pytest.mark.parametrize("options", [{"quiet": True}, {"as_json": True}])
def test_quiet_and_json_have_no_heartbeat(options: dict[str, bool], capsys: pytest.CaptureFixture[str]) -> None:
    with terminal_by(Minutes(waits=0), **options).bar("decoding", "series"):
        assert not beating()
    assert capsys.readouterr().out == ""


def test_a_terminal_has_bars_instead(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    with Terminal().bar("decoding", "series"):
        assert not beating()
    with Terminal(quiet=True).bar("decoding", "series"):
        assert not beating()


def test_the_thread_ends_with_the_step() -> None:
    with pytest.raises(ZeroDivisionError), Terminal().bar("decoding", "series"):
        assert beating()
        raise ZeroDivisionError
    assert not beating()


def beating() -> bool:
    return any(thread.name == "heartbeat" for thread in threading.enumerate())


def job(name: str) -> Any:
    return SimpleNamespace(key=name, cell=SimpleNamespace(name=name))


def test_of_cells_all_are_counted_and_those_that_run_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """What a checkpoint had done when it was resumed has taken none of this run's time."""
    one, two, three = job("hybrid fold 0"), job("hybrid [1]"), job("hybrid fold 2")
    minutes = Minutes(waits=1)
    with cell_bars(terminal_by(minutes), [one, two, three]) as bars:
        for begun in (one, two):
            bars.event(begun, "start", {})
        bars.event(one, "progress", {"done": 1, "of": 4})
        bars.event(two, "resumed", {"epoch": 2, "step": 0})
        bars.event(two, "progress", {"done": 2, "of": 4})
        bars.event(two, "progress", {"done": 3, "of": 4})
        capsys.readouterr()
        minutes.let_pass()
    expected = "  all cells: 1 of 3 after 60 s, about 4.0 min left (hybrid fold 0 25 %, hybrid [1] 75 %)\n"
    assert capsys.readouterr().out == expected


def test_the_start_of_workers_is_no_part_of_the_time_left() -> None:
    one, two = job("hybrid fold 0"), job("hybrid fold 1")
    minutes = Minutes(waits=0)
    with cell_bars(terminal_by(minutes), [one, two]) as bars:
        minutes.now += 40
        bars.event(one, "start", {})
        minutes.now += 20
        bars.event(one, "progress", {"done": 2, "of": 4})
        said = line(bars.progress.tasks)
        minutes.let_pass()
    assert said == "all cells: 0.5 of 2 after 60 s, about 60 s left (hybrid fold 0 50 %)"  # 20 s for half a cell
