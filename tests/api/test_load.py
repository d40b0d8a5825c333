"""`fl.load`: a name or a path, the command line's sentences, and `clean` kept out while it reads."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, NoReturn

import pytest
import tiny

import foldline as fl
from foldline.core import command_name, files, runs_lock
from foldline.experiment import several_targets
from foldline.serve.predictor import MANIFEST


def test_a_config_may_be_named_or_given_by_its_path(trained: Path) -> None:
    rows, path = tiny.frames()["test"], trained / "configs" / "rides.toml"
    loaded = [fl.load("rides"), fl.load("configs/rides.toml"), fl.load(path)]
    assert isinstance(loaded[0], fl.Predictor)
    assert all(each.predict(rows).equals(loaded[0].predict(rows)) for each in loaded[1:])


@pytest.mark.parametrize("name", ["nothing", "configs/nothing.toml"])
def test_what_was_never_trained_is_refused_with_the_command_as_it_was_started(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_name, "started_as", lambda: "foldline")
    with pytest.raises(fl.Error, match=r"no trained experiment 'nothing' .*Run `foldline train nothing` first"):
        fl.load(name)
    assert not files.runs().exists()


@pytest.mark.parametrize("name", [None, 3])
def test_what_is_neither_a_name_nor_a_path_is_refused(name: Any, home: Path) -> None:
    with pytest.raises(fl.Error, match="The name of an experiment must be a path, as a text"):
        fl.load(name)


def test_a_file_of_somebody_else_is_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", "weights")

    monkeypatch.setattr(several_targets, "read", refused)
    with pytest.raises(fl.Error, match=r"weights can't be read or written: .*Check its owner"):
        fl.load("rides")


@pytest.mark.parametrize("text", ["", "\xff", "[]", '{"name": "rides"}', '{"name": 1, "experiment": 2}'])
def test_a_damaged_manifest_is_a_sentence(text: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(fl.Error, match=rf"{MANIFEST} is damaged: it names no experiment"):
        fl.load(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path != home] == [MANIFEST]


def test_nothing_is_deleted_while_it_loads(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(name: str) -> NoReturn:
        with pytest.raises(runs_lock.InUse), runs_lock.alone():
            pass
        raise fl.Error(f"{name} was read")

    files.runs().mkdir()
    monkeypatch.setattr(several_targets, "read", read)
    with pytest.raises(fl.Error, match="rides was read"):
        fl.load("rides")
    with runs_lock.alone():
        pass
