"""The quickstart in smoke size: two homes give the same submission, and a second run trains nothing."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import tiny
from quickstart import SMOKE


def test_two_homes_give_the_same_submission_and_a_second_run_trains_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("train", "quickstart", *SMOKE)
    first = tiny.submission(home, "quickstart")
    assert pl.read_csv(first).height == 6 * 80
    assert not (home / "submissions").exists()  # simulated runs stay under runs/
    cells = tiny.tree(home / "runs" / "cells")
    capsys.readouterr()

    tiny.run("train", "quickstart", *SMOKE)
    assert "nothing to train" in capsys.readouterr().out
    assert tiny.tree(home / "runs" / "cells") == cells and tiny.submission(home, "quickstart") == first

    other = home.parent / "other-home"
    (other / "configs").mkdir(parents=True)
    for path in (home / "configs").glob("*.toml"):
        (other / "configs" / path.name).write_bytes(path.read_bytes())
    monkeypatch.setenv("FOLDLINE_HOME", str(other))
    tiny.run("train", "quickstart", *SMOKE)
    assert tiny.submission(other, "quickstart") == first
