"""ROCKET in an experiment: trained beside other members, blended, read back without training's libraries, refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
from hiding import HIDING
from tiny_classes import KINDS, Songs

from foldline.core import files
from foldline.core.errors import UserError
from foldline.experiment import config, stored_experiment

ROCKET = '[[model]]\nname = "rocket"\nkernels = 84\n\n[track]'


INFER = "import sys; from foldline.cli.main import main; sys.exit(max(main(['infer', name]) for name in sys.argv[1:]))"


def install(home: Path, source: Path, songs: Songs, name: str = "songs") -> None:
    """Install the songs with a third member."""
    path = songs.install(home, source, name)
    path.write_text(path.read_text().replace("[track]", ROCKET))


def test_it_is_a_member_like_others_and_infer_gives_the_same_submission(home: Path, tmp_path: Path) -> None:
    """Of every kind of target; one process infers all, as importing takes longer than everything else here."""
    for kind in KINDS:
        install(home, tmp_path / kind, Songs(kind), kind)
        tiny.run("train", kind)
        rocket = [cell for cell in stored_experiment.read(kind).plan if cell.model.name == "rocket"]
        assert len(rocket) == 2 and all(cell.done and cell.depends["scaler"] == "none" for cell in rocket), kind
        assert rocket[0].depends["train"] == {"threads": rocket[0].model.train.threads}, kind
        assert all(np.isfinite(files.read_array(cell.folder / "out_of_fold.npy")).all() for cell in rocket), kind
    trained = {kind: tiny.submission(home, kind) for kind in KINDS}
    stored = list((home / "runs" / "cells").glob("*/test-*"))
    assert len(stored) >= 6 * len(KINDS)  # three members on two folds
    for path in stored:
        path.unlink()
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HIDING)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hook")}
    command = [sys.executable, "-c", INFER, *KINDS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("hook\n"), done.stderr
    said = [line.removeprefix("submission: ") for line in done.stdout.splitlines() if line.startswith("submission: ")]
    assert len(said) == len(KINDS)
    for kind, path in zip(KINDS, said, strict=True):
        assert (tmp_path / path).read_bytes() == trained[kind], kind


def test_its_channels_are_the_inputs_unless_they_are_named(home: Path, tmp_path: Path) -> None:
    install(home, tmp_path / "songs", Songs())
    assert config.load(Path("songs")).models[2].params["channels"] == ["pitch", "volume"]
    named = config.load(Path("songs"), ['model.2.channels=["volume"]'])
    assert named.models[2].params["channels"] == ["volume"]


def test_answers_at_every_step_are_refused_in_one_sentence(home: Path, tmp_path: Path) -> None:
    install(home, tmp_path / "songs", Songs(level="step", metric="log_loss"))
    with pytest.raises(UserError, match=r'rocket has one answer a series: it needs data\.level = "series"'):
        config.load(Path("songs"))


def test_settings_of_networks_are_refused(home: Path, tmp_path: Path) -> None:
    install(home, tmp_path / "songs", Songs())
    with pytest.raises(UserError, match=r"only threads, seeds and full_seeds matter to rocket, but got lr\."):
        config.load(Path("songs"), ["model.2.train.lr=0.1"])
    with pytest.raises(UserError, match=r"rocket learns from its fold's series only"):
        config.load(Path("songs"), ["model.2.teacher={exact = true}"])
