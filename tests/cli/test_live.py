"""`live` as a command: which experiment it shows, its port, and how Ctrl-C and SIGTERM end it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import live_runs
import pytest
from live_runs import cell

from foldline.cli.main import main
from foldline.output.live import Live


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> list[Live]:
    """Servers that were interrupted as soon as they waited."""
    served: list[Live] = []

    def wait(self: Live) -> None:
        served.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Live, "wait", wait)
    return served


def test_without_a_name_it_shows_the_newest_run(
    home: Path, interrupted: list[Live], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["live"]) == 2 and "There is no experiment yet" in capsys.readouterr().err
    live_runs.write(home / "runs", live_runs.run(cell(0), folder="songs/12"))
    assert main(["live"]) == 130
    (served,) = interrupted
    assert served.name == "songs" and served.url in capsys.readouterr().out and served.closed.is_set()


@pytest.mark.parametrize("word", ["rides", "rides.toml", "configs/rides.toml"])
def test_a_config_that_has_not_run_yet_is_waited_for(word: str, rides: Path, interrupted: list[Live]) -> None:
    assert main(["live", word]) == 130
    assert interrupted[0].name == "rides"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ride"], "unknown experiment 'ride'. Did you mean 'rides'?"),
        (["rides", "--port", "x"], "port must be a whole number, but got 'x'"),
        (["rides", "port=true"], "port must be a whole number"),
        (["rides", "port=70000"], "from 0 to 65535, but got 70000"),
        (["rides", "prot=1"], "unknown option 'prot'. Did you mean 'port'?"),
        (["rides", "songs"], "takes [NAME]"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], said: str, rides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_taken_port_is_refused(
    rides: Path, interrupted: list[Live], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Live("rides", tmp_path) as other:
        assert main(["live", "rides", f"--port={other.port}"]) == 2
    assert f"Port {other.port} is taken" in capsys.readouterr().err and not interrupted


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda process: process.send_signal(signal.SIGINT), 130),
        (lambda process: process.terminate(), 143),
    ],
)
def test_a_real_one_ends_at_once(
    end: Callable[[subprocess.Popen[str]], None], code: int, rides: Path, home: Path, sigint: None
) -> None:
    words = [sys.executable, "-m", "foldline", "live", "rides", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        url = json.loads(process.stdout.readline())["url"]
        with urllib.request.urlopen(url) as answer:
            assert b"Nothing of rides has run yet" in answer.read()
        end(process)
        assert process.wait() == code and process.stderr.read() == ""
    assert not (home / "runs").exists()
