"""`fl.live`: the page beside a training in the same process, the command line's sentences, and nobody kept out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import live_runs
import pytest
import tiny
from live_runs import cell

import foldline as fl
from foldline.cli.main import main
from foldline.experiment import scoring


def test_it_shows_what_is_trained_in_the_same_process_meanwhile(rides: Path, home: Path) -> None:
    with fl.live("rides") as served:
        assert "Nothing of rides has run yet" in served.feed.whole()
        run = fl.train("rides", train={"epochs": 1}, quiet=True)
        assert "4 of 4" in served.feed.whole() and f"{run.score:.4f}" in served.feed.whole()
    with run.live() as again:
        assert again.name == "rides" and "<iframe" in again._repr_html_()


def test_what_ends_a_run_after_its_cells_is_shown_until_it_is_run_again(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> NoReturn:
        raise fl.Error("nothing can be blended")

    with fl.live("rides") as served:
        with monkeypatch.context() as patched, pytest.raises(fl.Error):
            patched.setattr(scoring, "combine", fails)
            fl.train("rides", train={"epochs": 1}, quiet=True)
        assert "has failed: nothing can be blended" in served.feed.whole()
        fl.train("rides", train={"epochs": 1}, quiet=True)
        assert "finished." in served.feed.whole() and "has failed" not in served.feed.whole()


def test_home_and_the_newest_run(tmp_path: Path) -> None:
    live_runs.write(tmp_path / "elsewhere" / "runs", live_runs.run(cell(0), folder="songs/12"))
    with fl.live(home=tmp_path / "elsewhere") as served:
        assert served.name == "songs" and "fold 0" in served.feed.whole()


@pytest.mark.parametrize(("name", "words"), [(None, []), ("ride", ["ride"])])
def test_a_mistake_is_the_command_lines_sentence(
    name: str | None, words: list[str], rides: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["live", *words]) == 2
    with pytest.raises(fl.Error) as caught:
        fl.live(name)
    assert capsys.readouterr().err == f"error: {caught.value}\n"


def test_it_keeps_nobody_out(trained: Path) -> None:
    with fl.live("rides"):
        tiny.run("clean", "caches", "--force")
