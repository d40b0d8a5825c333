"""Killed or interrupted at any step, and started again: the same weights and the same history, to the last bit."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from lab import (
    EVERYTHING,
    EVERYTHING_WORDS,
    TRAIN,
    at_step,
    checkpoint,
    exhaust,
    fitted,
    jobs,
    silent,
    small_store,
    weights,
)
from test_cells import weights_of

from foldline.cli.main import main
from foldline.core import interrupt
from foldline.fit.train_config import AugmentConfig, WatchConfig
from foldline.run import cell_training

pytestmark = pytest.mark.usefixtures("sigint")

RECIPES = {
    "everything": EVERYTHING,
    "average and stop": replace(TRAIN, epochs=5, average=2, lr=0.05, watch=WatchConfig(share=0.3, stop=2)),
    "restarts, bf16": replace(TRAIN, epochs=3, precision="bf16", schedule="restarts"),
    "fp16 with a loss scale": replace(
        TRAIN, epochs=3, precision="fp16", ema=0.9, augment=AugmentConfig(mixup=0.5, shuffle=0.5)
    ),
}


class Recorder:
    """An emitter that keeps each epoch, as the cell's history.jsonl does: without the times."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.resumed: tuple[int, int] | None = None

    def __call__(self, kind: str, **values: Any) -> None:
        if kind == "resumed":
            self.resumed = (values["epoch"], values["step"])
        for row in values["history"] if kind == "resumed" else [values] if kind == "epoch" else []:
            self.rows.append({name: value for name, value in row.items() if not name.startswith("time.")})


@pytest.mark.parametrize("recipe", RECIPES)
def test_from_every_step_of_a_run_the_rest_comes_out_the_same(recipe: str, tmp_path: Path) -> None:
    train = replace(RECIPES[recipe], checkpoint_s=0.0)
    data, straight = small_store(static=True), Recorder()
    copies: list[Path] = []

    def keep(kind: str, **values: Any) -> None:
        straight(kind, **values)
        if kind == "progress" and (tmp_path / "run" / "checkpoint.safetensors").exists():
            copies.append(tmp_path / str(len(copies)))  # as it lies there while the next step is made
            shutil.copytree(tmp_path / "run", copies[-1])

    expected = weights(fitted(data, train=train, emit=keep, folder=tmp_path / "run"))
    copies.append(tmp_path / "run")  # and as the last epoch left it
    assert len(copies) >= 6
    for number, copy in enumerate(copies):
        recorder = Recorder()
        again = fitted(data, train=train, emit=recorder, folder=copy)
        assert weights(again) == expected and recorder.rows == straight.rows, f"resumed from step {number}"
        assert recorder.resumed is not None


@pytest.mark.parametrize("step", [1, 4, 6])
def test_a_signal_finishes_the_step_saves_and_stops(step: int, tmp_path: Path) -> None:
    train = replace(EVERYTHING, micro=0, watch=WatchConfig(), schedule="cosine")  # 3 steps an epoch, no time to save
    expected = weights(fitted(train=train))
    seen: list[float] = []

    def shout(kind: str, **values: Any) -> None:
        seen.extend([values["done"]] if kind == "progress" else [])
        if kind == "progress" and len(seen) == step:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), interrupt.deferred(signal.SIGINT):
        fitted(train=train, emit=shout, folder=tmp_path)
    assert len(seen) == step
    recorder = Recorder()
    assert weights(fitted(train=train, emit=recorder, folder=tmp_path)) == expected
    assert recorder.resumed == divmod(step, 3) or recorder.resumed == (step // 3 - 1, 3)


# ---------------------------------------------------------------- through the command line


def shout() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("together", [1, 3])
def test_after_ctrl_c_the_same_command_says_that_it_goes_on_and_does(
    together: int, rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "rides", "train.batch=2", *EVERYTHING_WORDS, f"executor.together={together}"]
    with monkeypatch.context() as patch:
        at_step(5 if together > 1 else 3, patch, shout)  # the third step of the first cell, of 4
        assert main(words) == 130
    assert "run the same command again to go on" in capsys.readouterr().err
    left = list((home / "runs" / "cells").glob("*/checkpoint.safetensors"))
    assert len(left) == min(together, 2)  # each of the cells that took turns; there are 2 networks
    assert not any((path.parent / "done.json").exists() for path in left)
    tiny.run(*words)
    output = capsys.readouterr().out
    assert output.count("goes on after 1 epochs and 1 steps") == len(left)
    interrupted, submission = weights_of(home), tiny.submission(home)
    assert not list((home / "runs" / "cells").glob("*/checkpoint.safetensors"))
    tiny.run(*words, "--force")
    assert weights_of(home) == interrupted and tiny.submission(home) == submission


def test_ctrl_c_while_trees_grow_stops_before_the_next_cell(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foldline.models.systems.lightgbm import LightGBM

    honest, shouts = LightGBM.save, iter([shout])

    def save(self: LightGBM, folder: Path) -> None:
        next(shouts, lambda: None)()
        honest(self, folder)

    monkeypatch.setattr(LightGBM, "save", save)
    trees = 'model=[{name = "lightgbm", rounds = 5, min_data_in_leaf = 2}]'
    assert main(["train", "rides", trees]) == 130
    assert len(list((home / "runs" / "cells").glob("*/done.json"))) == 1  # of 2


def test_a_disk_that_is_full_at_a_checkpoint_ends_in_one_line_and_keeps_the_last_good_one(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "rides", "train.checkpoint_s=0", *EVERYTHING_WORDS]
    stored, honest = home / "runs" / "cells", os.fsync
    kept: list[bytes] = []

    def fsync(descriptor: int) -> None:
        if list(stored.glob("*/.checkpoint*")) and (good := list(stored.glob("*/checkpoint.safetensors"))):
            kept.append(good[0].read_bytes())
            raise OSError(errno.ENOSPC, "No space left on device")
        honest(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        assert main(words) == 2
    err = capsys.readouterr().err
    assert "No space is left on the disk" in err and "Traceback" not in err and err.count("\n") == 1
    (folder,) = (path.parent for path in stored.glob("*/checkpoint.safetensors"))
    assert (folder / "checkpoint.safetensors").read_bytes() == kept[0] and checkpoint(folder)
    assert not list(stored.glob("*/.*"))
    tiny.run(*words)
    assert "goes on after 0 epochs and 1 steps" in capsys.readouterr().out


def test_what_a_kill_leaves_beside_a_checkpoint_is_swept_up(rides: Path, home: Path) -> None:
    one = jobs("train.checkpoint_s=0")[0]
    started = cell_training.run(one, silent)
    next(started)
    started.close()
    (one.cell.folder / ".checkpoint.safetensors.killed").write_bytes(b"half")
    exhaust(cell_training.run(one, silent))
    assert not list(one.cell.folder.glob(".*")) and one.cell.done
    (one.cell.folder / "checkpoint.safetensors").write_bytes(b"killed between done.json and here")
    exhaust(cell_training.run(one, silent))
    assert not (one.cell.folder / "checkpoint.safetensors").exists()
