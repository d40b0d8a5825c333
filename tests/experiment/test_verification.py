"""`doctor --verify` beside cells and stores: fold files, submissions, and the records of searches and comparisons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny

from foldline.cli.main import main
from foldline.core import artefacts, files
from foldline.data import folds
from foldline.experiment import verification
from foldline.experiment.verification import Verified


def found() -> Verified:
    """Verify this home."""
    return verification.verify(lambda *_: None)


def flip(path: Path, at: float = 0.5) -> None:
    """Change one bit of a file. at: where, as a share of its bytes."""
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("at", [0.0, 0.5, 0.99])
def test_a_fold_file_that_is_damaged_is_listed(at: float, trained: Path) -> None:
    (path,) = folds.saved()
    assert path.parent == trained / "folds" and path not in found().damaged
    flip(path, at)
    assert found().damaged == {path: f"{path.name} does not hold the rows that were written"}
    path.write_bytes(b"\xff")
    assert found().damaged == {path: f"{path.name} can't be read"}
    assert main(["train", "rides"]) == 2  # a fold file is never made anew by itself: it is committed


def test_a_users_own_table_under_folds_is_none(trained: Path) -> None:
    before = found().checked
    (trained / "folds" / "mine.csv").write_text("ride,fold\n1,0\n")
    assert found().checked == before and not found().damaged


def test_submissions_that_are_damaged_are_listed(trained: Path) -> None:
    tiny.run("infer", "rides")
    latest = (trained / "runs" / "rides" / "latest").resolve()
    (copy,) = (trained / "submissions").glob("rides-*.csv")
    (inferred,) = latest.glob("infer-*.csv")
    assert not found().damaged
    for path in (copy, inferred):
        whole = path.read_bytes()
        flip(path)
        assert found().damaged == {path: f"{path.name} is not the file whose hash stands in the ledger"}
        path.write_bytes(whole)
    inferred.unlink()
    flip(latest / "submission.csv")
    assert list(found().damaged) == [latest / "submission.csv"]


def test_submissions_that_no_ledger_knows_are_not_checked(trained: Path) -> None:
    """One that the gate has refused, one whose ledger is gone or is another table, a user's own beside them."""
    tiny.run("train", "rides")
    (trained / "submissions" / "final.csv").write_text("row,speed\n")
    before = found().checked
    ledger = trained / "submissions" / "ledger.csv"
    for text in (ledger.read_text().splitlines()[0] + "\n", "id,score\n"):
        ledger.write_text(text)
        assert found().checked == before - 2 and not found().damaged
    ledger.unlink()
    assert found().checked == before - 2


def test_a_refused_submission_is_not_measured_by_what_infer_wrote_later(trained: Path) -> None:
    latest = (trained / "runs" / "rides" / "latest").resolve()
    tiny.run("infer", "rides")
    (latest / "submission.csv").write_text("refused by the gate\n")  # its hash never came into the ledger
    assert not found().damaged


@pytest.mark.parametrize("name", ["blend.json", "ablation.json", "study.json"])
def test_what_searches_ablations_studies_and_blends_record_is_checked(name: str, trained: Path) -> None:
    before, path = found(), trained / "runs" / "some" / "0123" / name
    artefacts.write_json(path, {"score": 1.5})
    now = found()
    assert (now.checked, now.unchecked, now.damaged) == (before.checked + 1, before.unchecked, {})
    path.write_text(path.read_text().replace("1.5", "1.4"))
    assert found().damaged == {path: f"{name} does not hold the text that was written"}
    files.write_json(path, {"score": 1.5})  # as older versions did
    now = found()
    assert (now.unchecked, now.damaged) == (before.unchecked + 1, {})


def test_a_blends_numbers_have_a_checksum(trained: Path) -> None:
    tiny.run("blend", "rides")
    paths = list((trained / "runs").glob("*/latest/blend.json"))
    assert len(paths) == 1 and artefacts.OWN in json.loads(paths[0].read_text())
    assert not found().damaged and not found().unchecked
