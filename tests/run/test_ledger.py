"""A damaged ledger: its entries and its damaged lines survive, other columns are refused before anything is trained."""

from __future__ import annotations

import codecs
import os
import time
from pathlib import Path

import pytest
import tiny

from foldline.api import housekeeping
from foldline.cli.main import main
from foldline.core import files
from foldline.core.errors import UserError
from foldline.experiment import clean
from foldline.run import ledger

HEADER = ",".join(ledger.COLUMNS)


def line(number: int, public: str = "") -> str:
    """An entry's line."""
    return f"{number:064x},2026-01-01T00:00:00Z,rides,c,{number:016x},k,t,mae,0.5,40,{public},"


def written(path: Path, *lines: str, end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join(lines) + end).encode("utf-8", errors="surrogateescape"))
    return path


CONFLICT = ["<<<<<<< HEAD", line(1), "=======", line(2), ">>>>>>> other"]
CUT = line(3)[:80]
DAMAGED = {
    "conflict": ([HEADER, line(9), *CONFLICT], [9, 1, 2], [CONFLICT[0], CONFLICT[2], CONFLICT[4]]),
    "conflict from the first line": ([CONFLICT[0], HEADER, line(1), *CONFLICT[2:]], [1, 2], CONFLICT[::2]),
    "cut": ([HEADER, line(1), CUT], [1], [CUT]),
    "too long": ([HEADER, line(1) + ",", line(2)], [2], [line(1) + ","]),
    "an open quote": ([HEADER, '"' + line(1), line(2)], [2], ['"' + line(1)]),
    "no text": ([HEADER, "\udcff\udcfe", line(1)], [1], ["\udcff\udcfe"]),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_lines_are_kept_aside_and_named(what: str, tmp_path: Path, home: Path) -> None:
    lines, numbers, damaged = DAMAGED[what]
    path = written(tmp_path / "ledger.csv", *lines)
    assert [int(row["sha256"], 16) for row in ledger.entries(path)] == numbers
    assert "no entry" in ledger.check(path) and "ledger.csv.damaged" in ledger.check(path)
    assert ledger.add_entry(path, {"sha256": f"{7:064x}", "config": "rides", "experiment": "e"})
    assert [int(row["sha256"], 16) for row in ledger.entries(path)] == [*numbers, 7] and not ledger.check(path)
    kept = ledger.damaged_path(path)
    assert kept.read_bytes() == "".join(f"{text}\n" for text in damaged).encode("utf-8", errors="surrogateescape")
    ledger.add_scores(path, f"{7:064x}", "0.1", "")
    assert ledger.damaged_lines(path) == damaged and len(ledger.entries(path)) == len(numbers) + 1


def test_a_kill_between_the_two_files_loses_nothing_and_repeats_nothing(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "ledger.csv", HEADER, CUT, line(1))
    real = Path.replace

    def dies(self: Path, target: Path) -> Path:
        if target == path:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        ledger.add_scores(path, f"{1:064x}", "0.1", "")
    monkeypatch.setattr(Path, "replace", real)
    assert ledger.read(path).damaged == {2: CUT}
    ledger.add_scores(path, f"{1:064x}", "0.1", "")
    assert ledger.damaged_lines(path) == [CUT] and ledger.entries(path)[0]["public"] == "0.1"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_a_spreadsheet_adds_around_the_lines_is_read(end: str, tmp_path: Path, home: Path) -> None:
    path = written(tmp_path / "ledger.csv", codecs.BOM_UTF8.decode() + HEADER, line(1), end=end)
    assert not ledger.check(path)
    ledger.add_scores(path, f"{1:064x}", "0.1", "")
    assert path.read_text() == f"{HEADER}\n{line(1, '0.1')}\n"
    path.write_text("")
    assert ledger.entries(path) == [] and ledger.entries(tmp_path / "none.csv") == []


@pytest.mark.parametrize(
    "head",
    [
        f"{HEADER},note",
        HEADER.removesuffix(",private"),
        HEADER.replace(",", ";"),
        HEADER.replace("public,private", "private,public"),
    ],
)
def test_other_columns_are_refused_before_anything_is_trained(
    head: str, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(home / "submissions" / "ledger.csv", head, line(1))
    before = path.read_bytes()
    assert main(["train", "rides"]) == 2
    message = capsys.readouterr().err
    assert f"{path} must have the columns {HEADER}" in message and "move it away" in message
    assert path.read_bytes() == before and not (home / "runs" / "cells").exists()
    with pytest.raises(UserError):
        ledger.add_entry(path, {"sha256": "x"})
    path.rename(path.with_suffix(".old"))
    assert main(["train", "rides", "--dry-run"]) == 0


def test_damaged_lines_are_named_before_training_and_keep_their_experiment(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = (trained / "runs" / "rides" / "latest").resolve()
    latest = trained / "runs" / "rides" / "latest"
    path = written(trained / "submissions" / "ledger.csv", HEADER, f"{1:064x},2026,rides,c,{folder.name},cut")
    latest.unlink()  # now only the ledger can keep it
    assert {item.kind for item in clean.survey() if item.path == folder} == {"ledger"}
    latest.symlink_to(folder.name)
    tiny.run("train", "rides")
    assert f"{path}: line 2 is no entry" in capsys.readouterr().err
    latest.unlink()
    assert folder.name in ledger.damaged_path(path).read_text()
    assert {item.kind for item in clean.survey() if item.path == folder} == {"ledger"}


def test_what_kills_have_left_is_swept_by_the_next_run(rides: Path, home: Path) -> None:
    old = time.time() - 2 * housekeeping.OLD_S
    gone, stay = [], []
    for folder in ("folds", "submissions"):
        (home / folder).mkdir()
        names = {".a.csv.abc_1234.foldline-tmp": True, ".a.csv.original": False, ".gitignore": False, "a.csv": False}
        for name, ours in names.items():
            (home / folder / name).write_text("x")
            os.utime(home / folder / name, (old, old))
            (gone if ours else stay).append(home / folder / name)
        stay.append(home / folder / ".b.csv.abc_1234.foldline-tmp")
        stay[-1].write_text("being written")
    with pytest.raises(KeyboardInterrupt), files.atomic(home / "folds" / "c.csv") as stream:
        (temporary,) = (path for path in (home / "folds").iterdir() if path.name.startswith(".c.csv."))
        assert temporary.name.endswith(".foldline-tmp")
        stream.write(b"x")
        raise KeyboardInterrupt
    tiny.run("folds", "rides")
    assert not any(path.exists() for path in gone) and all(path.exists() for path in stay)
