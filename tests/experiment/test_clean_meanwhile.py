"""`clean` while another command works: it deletes nothing at any of the command's stages, and what waits goes on."""

from __future__ import annotations

import fcntl
import importlib
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny

from foldline.api.housekeeping import READING_RUNS, WRITING_RUNS
from foldline.cli.main import main
from foldline.cli.verb_table import VERBS
from foldline.core import files, locks, runs_lock
from foldline.experiment import clean

CLEAN = ["clean", "caches", "unused", "old", "bench", "ledger", "--force"]
# Where no cell is being trained: each is a function that a stage calls, as the stage's own module names it.
STAGES = {
    "reading": ("train", "foldline.data.loading.load"),
    "planning": ("train", "foldline.run.planning.jobs"),
    "blending": ("train", "foldline.experiment.scoring.combine"),
    "publishing": ("train", "foldline.output.submission.publish"),
    "reporting": ("report", "foldline.output.report.report_page.html"),
    "comparing blends": ("blend", "foldline.evidence.blending.blend_page.page"),
    "inference": ("infer", "foldline.output.submission.publish"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_deleted_at_a_stage_without_training(
    stage: str, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verb, place = STAGES[stage]
    module, _, name = place.rpartition(".")
    original = getattr(importlib.import_module(module), name)
    codes: list[int] = []

    def with_clean(*arguments: Any, **named: Any) -> Any:
        before = tiny.tree(trained / "runs")
        codes.append(main(CLEAN))
        assert tiny.tree(trained / "runs") == before
        return original(*arguments, **named)

    monkeypatch.setattr(place, with_clean)
    tiny.run(verb, "rides")
    assert codes and set(codes) == {2}
    assert "Nothing is deleted while a run goes on" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [*READING_RUNS, *WRITING_RUNS])
def test_every_verb_that_uses_runs_keeps_it_from_beginning_to_end(
    verb: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write_text(files.runs() / "store" / "s", "a cache")

    def body(*_: object) -> int:
        return main(CLEAN)

    monkeypatch.setattr(f"foldline.cli.{VERBS[verb].module}.run", body)
    assert main([verb]) == 2 and (files.runs() / "store" / "s").exists()
    assert main(CLEAN) == 0 and not (files.runs() / "store" / "s").exists()


def test_another_process_keeps_it_as_long_as_it_lives(home: Path) -> None:
    files.write_text(files.runs() / "store" / "s", "a cache")
    code = (
        "from foldline.core import runs_lock\n"
        "with runs_lock.shared(lambda: None):\n"
        "    print('shared', flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"shared\n"
        assert main(CLEAN) == 2 and main(CLEAN[:1]) == 0
        process.kill()
    tiny.run(*CLEAN)
    assert not (files.runs() / "store" / "s").exists()


def test_a_command_waits_while_something_is_deleted(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with runs_lock.alone():
        thread = threading.Thread(target=tiny.run, args=("board",))
        thread.start()
        thread.join(timeout=0.5)
        assert thread.is_alive()
    thread.join()
    assert "this goes on when it is done" in capsys.readouterr().out


def test_what_a_run_has_come_to_need_since_the_question_stays(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = next(
        path for path in (trained / "runs" / "rides").glob("*/experiment.json") if path.parent.name != "latest"
    )
    aside = record.with_name("aside.json")
    record.rename(aside)
    listed = [item for item in clean.survey() if item.kind == "unused"]
    aside.rename(record)  # a run that was going on has ended: its cells are needed now
    assert len(listed) == 4 and clean.remove(listed) == 0
    assert all(item.path.exists() for item in listed)


def test_locks_of_somebody_elses_files_are_shared_by_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "runs"
    path.touch()
    real: Callable[..., Any] = Path.open

    def unwritable(self: Path, mode: str = "r", **more: Any) -> Any:
        if self == path and mode != "r":
            raise PermissionError(13, "Permission denied", str(path))
        return real(self, mode, **more)

    monkeypatch.setattr(Path, "open", unwritable)
    with locks.lock(path, shared=True), locks.lock(path, shared=True):
        pass
    with pytest.raises(PermissionError), locks.lock(path):
        pass


def test_what_only_reads_makes_no_folder(home: Path) -> None:
    assert main(["board"]) == 2
    tiny.run("track")
    assert not files.runs().exists()


def test_a_refused_command_leaves_no_folder_and_its_lock_can_be_taken_meanwhile(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["train", "nothing-of-that-name"]) == 2
    assert not files.runs().exists()
    waited: list[bool] = []

    def on_wait() -> None:  # the holder removes the file before it frees the lock
        runs_lock.path().unlink()
        fcntl.flock(holder, fcntl.LOCK_UN)
        waited.append(True)

    runs_lock.path().parent.mkdir(parents=True)
    with runs_lock.path().open("a+") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with runs_lock.shared(on_wait):
            assert waited == [True] and runs_lock.path().exists()
            with pytest.raises(runs_lock.InUse), runs_lock.alone():
                pass
