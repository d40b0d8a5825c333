"""Bars in a notebook: one output, renewed and gone at the end, without ipywidgets; lines are plain text."""

from __future__ import annotations

import io
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from foldline.core import notebook
from foldline.core.console import Terminal


class Kernel(io.StringIO):
    """Standard output as ipykernel has it: no terminal, no file."""

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


class Outputs:
    """What a notebook displays: one output, whose contents are kept as they change."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, content: str, display_id: bool) -> Any:
        assert display_id and not self.shown
        self.shown.append(content)
        return SimpleNamespace(update=self.shown.append)


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> Outputs:
    """This process as a kernel."""
    found, package, display = Outputs(), ModuleType("IPython"), ModuleType("IPython.display")
    package.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    display.HTML, display.display = str, found.display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(notebook, "PERIOD_S", 0.001)
    return found


def work(terminal: Terminal, outputs: Outputs) -> None:
    terminal.say("a line")
    with terminal.bar("reading <files>", "MB") as update:
        update(1, 4)
        deadline = time.monotonic() + 250
        seen = len(outputs.shown)
        while terminal.silent is False and not any("1 of 4" in text for text in outputs.shown[seen:]):
            assert time.monotonic() < deadline, "no bar was drawn"
            time.sleep(0.001)


def test_bars_are_one_output_that_goes(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = Kernel()
    monkeypatch.setattr(sys, "stdout", printed)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as ipykernel sets it
    terminal = Terminal()
    work(terminal, outputs)
    work(terminal, outputs)  # a second step: another output would fail `display`
    drawn = next(text for text in outputs.shown if "1 of 4" in text)
    assert "<progress value='1' max='4'" in drawn and "reading &lt;files&gt; (MB): 1 of 4" in drawn
    assert outputs.shown[-1] == ""
    assert printed.getvalue() == "a line\n" * 2


def test_quiet_draws_nothing(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = Kernel()
    monkeypatch.setattr(sys, "stdout", printed)
    work(Terminal(quiet=True), outputs)
    assert outputs.shown == [] and printed.getvalue() == ""


def test_elsewhere_there_is_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not notebook.is_here()
    package = ModuleType("IPython")
    package.get_ipython = lambda: SimpleNamespace()  # type: ignore[attr-defined]  # IPython in a terminal
    monkeypatch.setitem(sys.modules, "IPython", package)
    assert not notebook.is_here()
