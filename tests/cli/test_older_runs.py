"""runs/ of another version of foldline: listed and kept, never read as if it were this version's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import tiny
import torch
from lab import planned

from foldline.cli.main import main
from foldline.core import artefacts, files
from foldline.data import exact_rows, loading
from foldline.experiment import clean, config, runs_index
from foldline.fit import boosting_cell, checkpoint, trainer

PREVIOUS = {"trainer": 2, "boosting": 1}  # versions of the engine whose cells hold padded arrays (format 1)


@pytest.fixture
def latest(trained: Path) -> Path:
    """The folder of the rides' experiment."""
    return (trained / "runs" / "rides" / "latest").resolve()


def rewrite(folder: Path, **changes: Any) -> None:
    """Change experiment.json; a value of None leaves the key out. Older versions wrote no checksum."""
    value = {**files.read_json(folder / "experiment.json"), **changes, artefacts.OWN: None}
    files.write_json(folder / "experiment.json", {name: part for name, part in value.items() if part is not None})


def without_checksums(home: Path) -> None:
    """Leave all of runs/ as versions did that stored no checksums."""
    for path in (home / "runs").rglob("*.json"):
        if path.name == artefacts.CHECKSUMS or path.name.startswith("test-") or path.parent.name == "exact":
            path.unlink()
        elif path.name != "keys.json":
            value = files.read_json(path)
            files.write_json(path, {key: value[key] for key in value if key not in (artefacts.OWN, artefacts.LISTED)})


@pytest.mark.parametrize("verb", ["train", "infer", "report", "blend", "bundle"])
def test_what_has_no_checksums_yet_is_used_and_nothing_of_it_is_called_damaged(
    verb: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, cells = tiny.submission(trained), tiny.tree(trained / "runs" / "cells")
    without_checksums(trained)
    stores = tiny.tree(trained / "runs" / "store")
    assert main(["doctor", "--verify", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["damaged"] == {} and found["unchecked"] == 4 + 2 + 2  # cells, stores, experiment.json and made.json
    tiny.run(verb, "rides", *([f"out={tmp_path / 'packed'}"] if verb == "bundle" else []))
    said = capsys.readouterr()
    assert "damaged" not in said.err
    assert verb == "blend" or tiny.submission(trained) == before  # blend records an experiment of its own
    assert verb != "train" or "nothing to train" in said.out
    assert tiny.tree(trained / "runs" / "store") == stores  # used as they are
    now = tiny.tree(trained / "runs" / "cells")
    assert all(now[name] == cells[name] for name in cells if name.endswith((".npy", ".safetensors", ".txt")))
    tiny.run("doctor", "--verify")


def test_what_can_be_made_again_is_made_again_and_not_called_damaged(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = config.load(Path("quickstart"), ["data.simulate.breaths=24", "data.simulate.test_breaths=6"]).data
    table = loading.load(data).train
    honest = exact_rows.obtain(table)
    before = tiny.tree(home / "runs")
    without_checksums(home)
    tiny.run("doctor", "--verify", "--json")
    assert json.loads(capsys.readouterr().out) == {"checked": 2, "unchecked": 2, "damaged": {}}
    assert np.array_equal(exact_rows.obtain(loading.load(data).train).values, honest.values, equal_nan=True)
    err = capsys.readouterr().err
    assert err.count("unchecked: ") == 2 and err.count("it has no checksums; ") == 2 and "damaged" not in err
    assert tiny.tree(home / "runs") == before
    tiny.run("doctor", "--verify", "--json")
    assert json.loads(capsys.readouterr().out) == {"checked": 2, "unchecked": 0, "damaged": {}}


def test_a_checkpoint_without_a_hash_is_not_read_and_not_called_damaged(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder, *_) = (path.parent for path in sorted((trained / "runs" / "cells").glob("*/weights.safetensors")))
    words = {"counters": json.dumps({"epoch": 1}), "loss_scale": "{}"}
    stored = safetensors.torch.save({"weight": torch.zeros(3)}, metadata=words)
    (folder / checkpoint.CHECKPOINT).write_bytes(stored)
    tiny.run("doctor", "--verify")
    assert "1 are of an older version" in capsys.readouterr().out
    (folder / "done.json").unlink()
    tiny.run("train", "rides")
    err = capsys.readouterr().err
    assert tiny.without_baselines(err) == f"unchecked: {folder}: it has no checksums; training starts afresh\n"
    (folder / checkpoint.CHECKPOINT).write_bytes(stored.replace(b"counters", b"coun\xffers"))
    assert checkpoint.damage(folder / checkpoint.CHECKPOINT).endswith("does not hold the bytes that were written")


@pytest.fixture
def older(latest: Path) -> Path:
    """The same, as a version before there were formats has left it, with a model name of then."""
    text = (latest / "experiment.json").read_text().replace('"hybrid"', '"winner"')
    (latest / "experiment.json").write_text(text)
    rewrite(latest, format=None)
    return latest


@pytest.mark.parametrize("verb", ["infer", "report", "bundle"])
def test_an_older_experiment_is_refused_in_one_sentence(
    verb: str, older: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tiny.tree(older)
    assert main([verb, "rides"]) == 2
    assert capsys.readouterr().err == (
        f"error: {older} was made by an older version of foldline (format 1, this version reads {runs_index.FORMAT}): "
        "run `./run.sh train rides` again.\n"
    )
    assert tiny.tree(older) == before


def test_an_experiment_of_a_newer_version_is_refused_too(latest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(latest, format=runs_index.FORMAT + 1)
    assert main(["infer", "rides"]) == 2
    assert f"made by a newer version of foldline (format {runs_index.FORMAT + 1}," in capsys.readouterr().err


def test_the_command_that_made_it_is_named(older: Path) -> None:
    files.write_json(older / "made.json", {"command": "./run.sh blend rides walks", "environment": {}, "seconds": {}})
    assert runs_index.made_by(older) == "./run.sh blend rides walks"
    (older / "made.json").unlink()
    assert runs_index.made_by(older) == "./run.sh train rides"


def test_the_board_lists_and_marks_it(older: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("board", "--json")
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert [(line["experiment"], line["current"]) for line in group["lines"]] == [(f"rides/{older.name}", False)]
    tiny.run("board")
    out = capsys.readouterr().out
    assert f"rides/{older.name} * †" in out and "† recorded by another version of foldline" in out
    rewrite(older, format=runs_index.FORMAT)
    tiny.run("board")
    assert "†" not in capsys.readouterr().out


def test_clean_keeps_the_latest_until_a_new_one_takes_its_place(older: Path, trained: Path) -> None:
    cells = {path.name for path in (trained / "runs" / "cells").iterdir()}
    kept = {item.path.name for item in clean.survey() if item.kind == "kept"}
    assert kept == {older.name, *cells}
    newer = older.with_name("f" * 16)
    shutil.copytree(older, newer)
    rewrite(newer, format=runs_index.FORMAT, cells=[])
    files.replace_symlink(newer.parent / "latest", newer)
    kinds = {item.path.name: item.kind for item in clean.survey() if item.kind in ("kept", "old")}
    assert kinds == {newer.name: "kept", older.name: "old", **dict.fromkeys(cells, "old")}


def test_training_again_reads_none_of_the_older_cells(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cells of the previous engine, whose arrays have another shape, lie under other keys and stay as they are."""
    with monkeypatch.context() as before:
        before.setattr(trainer, "VERSION", PREVIOUS["trainer"])
        before.setattr(boosting_cell, "VERSION", PREVIOUS["boosting"])
        old = {cell.key for cell in planned()}
        for cell in planned():  # a file that is opened and read as predictions ends the test with an error
            cell.folder.mkdir(parents=True)
            files.write_json(cell.folder / "depends.json", cell.depends)
            files.write_json(cell.folder / "done.json", {"time.train_s": 1.0})
            (cell.folder / "out_of_fold.npy").write_bytes(b"padded")
    stored = tiny.tree(home / "runs" / "cells")
    assert len(old) == 4 and old.isdisjoint(cell.key for cell in planned())
    tiny.run("train", "rides")
    assert "cells: 4, 0 finished, 4 to train" in capsys.readouterr().out
    now = tiny.tree(home / "runs" / "cells")
    assert {name: now[name] for name in stored} == stored


def test_a_submission_of_an_older_experiment_can_still_be_checked(
    older: Path, trained: Path, trained_once: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained_once / "home" / "submissions", trained / "submissions")
    tiny.run("submit", "rides", "data.source=rides", "--dry-run")
    assert "has passed the gate" in capsys.readouterr().out


def test_a_submission_whose_first_experiment_is_gone_is_checked_by_its_own(
    latest: Path, trained: Path, trained_once: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained_once / "home" / "submissions", trained / "submissions")
    ledger = trained / "submissions" / "ledger.csv"
    ledger.write_text(ledger.read_text().replace(latest.name, "0" * 16))
    tiny.run("submit", "rides", "data.source=rides", "--dry-run")
    assert f"from rides/{latest.name}: " in capsys.readouterr().out
    (path,) = (trained / "submissions").glob("rides-*.csv")
    assert main(["submit", str(path), "--dry-run"]) == 2
    assert f"runs/rides/{'0' * 16}/experiment.json, by which {path} is checked, is gone" in capsys.readouterr().err
