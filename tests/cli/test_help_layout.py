"""Help in narrow terminals: no line is wider, nothing is lost, commands can be copied."""

from __future__ import annotations

import re

import pytest

from foldline.cli import help_layout, main
from foldline.cli.verb_table import VERBS

TEXT = """\
usage: ./run.sh ride [CONFIG]

Rides a bike, and says in one sentence after the other where it has been and how
fast it went there.

  ./run.sh ride configs/long.toml --fast        a ride that is fast
                                                and long
  ./run.sh ride                                 another one

options:
  --quiet  only errors"""


def test_sentences_are_filled_and_what_a_command_does_stands_below_it() -> None:
    assert (
        help_layout.fitted(TEXT, 50)
        == """\
usage: ./run.sh ride [CONFIG]

Rides a bike, and says in one sentence after the
other where it has been and how fast it went
there.

  ./run.sh ride configs/long.toml --fast
      a ride that is fast and long
  ./run.sh ride
      another one

options:
  --quiet  only errors"""
    )


def test_it_stands_beside_the_command_where_there_is_room() -> None:
    beside = help_layout.fitted(TEXT, 72).splitlines()
    assert "  ./run.sh ride configs/long.toml --fast  a ride that is fast and long" in beside
    assert help_layout.fitted(TEXT, 100) == TEXT


@pytest.mark.parametrize("verb", [*VERBS, ""])
@pytest.mark.parametrize("width", [60, 80, 100])
def test_every_help_fits_and_says_the_same_words(verb: str, width: int) -> None:
    text = main.help_text(verb, VERBS[verb]) if verb else main.overview()
    shown = help_layout.fitted(text, width)
    assert sorted(shown.split()) == sorted(text.split())
    commands = re.findall(r"^  (\./run\.sh .*?)(?:  |$)", text, flags=re.MULTILINE)
    assert all(command in shown for command in commands)
    too_wide = [line for line in shown.splitlines() if len(line) > width]
    assert all(line.strip() in commands for line in too_wide)  # what must be copied whole


def test_help_is_fitted_to_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main.main(["board", "--help"]) == 0
    written = capsys.readouterr().out
    assert max(map(len, written.splitlines())) > 100
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main.main(["board", "--help"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 60 and shown.split() == written.split()
