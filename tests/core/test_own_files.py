"""What foldline did not write is never overwritten, whatever is forced: a test for each verb that writes files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny

from foldline.api import simulate
from foldline.cli.main import main
from foldline.core import files, own_files
from foldline.core.errors import UserError

SIMULATE = ["simulate", "out", "breaths=2", "test_breaths=2"]


def refused(words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The message of a refused command, which has changed nothing in a folder."""
    before = tiny.tree(folder)
    assert main(words) == 2
    assert tiny.tree(folder) == before
    return capsys.readouterr().err


@pytest.mark.parametrize("words", [["folds", "rides", "--force"], ["folds", "rides"], ["train", "rides"]])
def test_a_fold_file_takes_no_other_files_place(
    words: list[str], rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused([*words, "folds.file=rides/train.csv"], rides, capsys)
    assert "rides/train.csv" in message and "another one with folds.file=PATH" in message and "--force" not in message
    (rides / "empty.csv").touch()
    tiny.run("folds", "rides", "folds.file=rides/empty.csv", "--force")
    tiny.run("folds", "rides", "folds.file=rides/empty.csv", "folds.seed=1", "--force")
    (rides / "folder").mkdir()
    assert "is not overwritten" in refused(["folds", "rides", "--force", "folds.file=rides/folder"], rides, capsys)


def test_a_damaged_fold_file_of_ones_own_is_made_again(rides: Path, home: Path) -> None:
    for words in ([], ["folds.file=mine.csv"]):
        tiny.run("folds", "rides", *words)
        path = Path("mine.csv") if words else next((home / "folds").iterdir())
        whole = path.read_bytes()
        path.write_bytes(whole[:-5])
        tiny.run("folds", "rides", *words, "--force")
        assert path.read_bytes() == whole


def test_a_simulation_replaces_its_own_files_only(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    tiny.run(*SIMULATE)
    whole = tiny.tree(out)
    assert "must be new or hold no CSV file" in refused(SIMULATE, out, capsys)
    tiny.run(*SIMULATE, "--force")
    assert tiny.tree(out) == whole
    (out / "test.csv").write_text("precious\n")
    assert "test.csv is not overwritten" in refused([*SIMULATE, "--force"], out, capsys)
    (out / "test.csv").unlink()
    (out / "mine.csv").write_text("precious\n")
    assert "mine.csv is not overwritten" in refused([*SIMULATE, "--force"], out, capsys)
    (out / "mine.csv").unlink()
    (out / simulate.MARK).write_text("{")
    assert "is not overwritten" in refused([*SIMULATE, "--force"], out, capsys)


def test_a_simulation_that_was_killed_while_its_files_got_their_names_is_made_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Path.replace, []

    def dies(self: Path, target: Path) -> Path:
        if target.suffix == ".csv":
            calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    assert main(SIMULATE) == 130 and [path.name for path in (tmp_path / "out").glob("*.csv")] == ["train.csv"]
    monkeypatch.setattr(Path, "replace", real)
    tiny.run(*SIMULATE, "--force")
    made = json.loads((tmp_path / "out" / simulate.MARK).read_text())
    assert made == {name: files.sha256(tmp_path / "out" / name) for name in simulate.WRITTEN[:3]}


def test_a_bundle_takes_no_file_away(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bundle", "rides", "out=packed"]
    tiny.run(*words)
    whole = tiny.tree(tmp_path / "packed")
    tiny.run(*words)
    assert tiny.tree(tmp_path / "packed") == whole
    for name in ("notes.txt", "dataset/wheels/mine.whl", "notebook/mine.ipynb"):
        (tmp_path / "packed" / name).write_text("precious")
        assert f"but {name} was put into it" in refused(words, tmp_path / "packed", capsys)
        (tmp_path / "packed" / name).unlink()


def test_one_command_at_a_time_writes_a_file(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with own_files.being_written(out):
        with pytest.raises(UserError, match=r"out\.csv is being written by another command now\. Wait"):
            own_files.being_written(out).__enter__()
        with own_files.being_written(tmp_path / "other.csv"):
            pass
    with own_files.being_written(out):
        pass
    assert not list(tmp_path.iterdir())
