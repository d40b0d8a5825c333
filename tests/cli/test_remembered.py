from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny

from foldline.cli import main as command_line
from foldline.cli import train
from foldline.cli.main import Arguments
from foldline.cli.remembered import Memory
from foldline.core import runs_lock
from foldline.core.console import Terminal
from foldline.core.unchanged import Witness

Command = Callable[..., list[str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command line as a process of its own does, and return the verbs for which anything had to be done."""

    def run(*words: str) -> list[str]:
        done, whole = [], command_line._run

        def counted(arguments: Arguments, terminal: Terminal, keep: Callable[[], None]) -> int:
            done.append(arguments.verb)
            return whole(arguments, terminal, keep)

        monkeypatch.setattr("sys.argv", ["foldline", *words])
        with monkeypatch.context() as patch:
            patch.setattr(command_line, "_run", counted)
            assert command_line.main() == 0
        return done

    return run


def test_train_again_says_the_same_without_doing_anything(
    trained: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("train", "rides") == ["train"]
    first = capsys.readouterr()
    before = tiny.tree(trained)
    assert command("train", "rides") == []
    assert capsys.readouterr() == first and "nothing to train" in first.out
    assert tiny.tree(trained) == before
    assert command("train", "rides", "--json") == []
    said = json.loads(capsys.readouterr().out)
    assert said["submission"].endswith("submission.csv") or Path(said["submission"]).is_file()
    assert command("train", "rides", "--quiet") == []
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_train_that_has_trained_remembers_what_it_will_say(
    rides: Path, home: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("train", "rides") == ["train"]
    assert "nothing to train" not in capsys.readouterr().out
    assert command("train", "rides") == []
    remembered = capsys.readouterr()
    (home / "runs" / "rides" / "latest" / "unchanged.json").unlink()
    assert command("train", "rides") == ["train"]
    assert capsys.readouterr() == remembered


@pytest.mark.parametrize(
    "pattern",
    [
        "rides/train.csv",
        "rides/test.csv",
        "home/configs/rides.toml",
        "home/folds/*.csv",
        "home/runs/cells/*/test-*.npy",
        "home/runs/rides/latest/report.html",
        "home/submissions/*.csv",
    ],
)
def test_whatever_has_changed_has_train_look_at_everything(
    trained: Path, rides: Path, command: Command, pattern: str
) -> None:
    command("train", "rides")
    path = sorted(trained.parent.glob(pattern))[0]
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole)  # the same bytes: nobody has looked at them
    assert command("train", "rides") == ["train"]
    assert command("train", "rides") == []


def test_other_words_and_flags_are_not_answered_from_memory(trained: Path, command: Command) -> None:
    command("train", "rides")
    assert command("train", "rides", "--dry-run") == ["train"]
    assert command("train", "rides", "post.snap=false") == ["train"]
    assert command("train", "rides") == ["train"], "`latest` is the other one's record"


def test_memory_that_is_no_longer_readable_is_none(trained: Path, command: Command) -> None:
    command("train", "rides")
    (trained / "runs" / "rides" / "latest" / "unchanged.json").write_text('{"command": ')
    assert command("train", "rides") == ["train"]


def test_train_whose_latest_another_run_has_moved_remembers_nothing(
    trained: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    latest = trained / "runs" / "rides" / "latest"
    other, ours = latest.with_name("0123456789abcdef"), latest.readlink()
    other.mkdir()
    whole = train.run

    def moved(arguments: Arguments, terminal: Terminal) -> int:
        code = whole(arguments, terminal)
        latest.unlink()
        latest.symlink_to(other.name)
        return code

    with monkeypatch.context() as patch:
        patch.setattr(train, "run", moved)
        assert command("train", "rides") == ["train"]
    assert not list(other.iterdir())
    assert command("train", "rides") == ["train"] and latest.readlink() == ours


def test_train_remembers_while_nothing_else_may_delete(
    trained: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, held = Memory._keep, []

    def kept(memory: Memory, witness: Witness, terminal: Terminal) -> None:
        with pytest.raises(runs_lock.InUse), runs_lock.alone():
            pass
        held.append(memory)
        whole(memory, witness, terminal)

    monkeypatch.setattr(Memory, "_keep", kept)
    assert command("train", "rides") == ["train"] and held


def test_waiting_and_trouble_with_tracking_are_not_said_again(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.warn("no network", again=False)
    terminal.say("waiting", later="")
    assert "no network" in capsys.readouterr().err and terminal.said == []


def test_a_call_from_python_remembers_nothing(trained: Path) -> None:
    tiny.run("train", "rides")
    assert not (trained / "runs" / "rides" / "latest" / "unchanged.json").exists()
