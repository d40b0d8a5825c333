"""What goes to a node that shares no folder, and what comes back: the same files, and no more than needed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import lab
import numpy as np
import pytest
import tiny
from test_cells import weights_of

from foldline.core import files
from foldline.core.errors import UserError
from foldline.run import turns
from foldline.run.cells import DONE, Job
from foldline.run.on_ray import parcels
from foldline.run.on_ray.parcels import Post


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What was put into the object store, which is a list here: references are copies of what was put."""
    every: list[np.ndarray] = []

    def put(value: np.ndarray) -> np.ndarray:
        every.append(np.array(value))
        return every[-1]

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(put=put, get=lambda reference: reference))
    return every


@contextmanager
def on_node(tmp_path: Path) -> Iterator[Path]:
    with files.at_home(tmp_path / "node"):
        yield tmp_path / "node"


@pytest.fixture
def todo(rides: Path, home: Path) -> list[Job]:
    """The rides' cells; what takes long of them is left out."""
    return [job for job in lab.jobs("train.epochs=1") if job.cell.fold == 0]


def crossed(job: Job, home: Path, tmp_path: Path, train: bool = True) -> None:
    """Run a job on a node, and take what it leaves."""
    found = Post().parcels(job)
    with on_node(tmp_path):
        parcels.unpack(found)
        if train:
            turns.take_turns([parcels.moved(job, str(home))], 1, lambda *_: None)
        left = parcels.left_by(job.cell)
    parcels.receive(job.cell, left)


def test_a_cell_that_was_trained_on_a_node_has_the_same_files(todo: list[Job], home: Path, tmp_path: Path) -> None:
    for job in todo:
        crossed(job, home, tmp_path)
        assert (
            job.cell.done and not (tmp_path / "node" / "runs" / "cells" / job.key / "checkpoint.safetensors").exists()
        )
    there = weights_of(home)
    shutil.rmtree(home / "runs" / "cells")
    turns.take_turns(todo, 1, lambda *_: None)
    assert weights_of(home) == there


def test_what_a_node_has_is_not_sent_again_unless_it_is_damaged(
    todo: list[Job], tmp_path: Path, sent: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    post, written = Post(), list[str]()
    honest = parcels._write_bytes
    monkeypatch.setattr(
        parcels, "_write_bytes", lambda path, content: (written.append(path.name), honest(path, content))
    )
    first = post.parcels(todo[0])
    count = len(sent)
    assert [parcel.folder for parcel in post.parcels(todo[0])] == [f"store/{todo[0].train.name}"] and len(sent) == count
    with on_node(tmp_path) as node:
        parcels.unpack(first)
        assert written[-1] == "meta.json" and len(written) == count + 1
        parcels.unpack(first)
        assert len(written) == count + 1
        path = node / "runs" / first[0].folder / "x.npy"
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        parcels.unpack(first)
        assert len(written) == 2 * (count + 1)


def test_half_a_cell_goes_and_comes_with_its_checkpoint(todo: list[Job], home: Path, tmp_path: Path) -> None:
    job = next(job for job in todo if job.cell.model.is_network)
    folder = job.cell.folder
    folder.mkdir(parents=True)
    (folder / "checkpoint.safetensors").write_bytes(b"of the driver")
    (folder / ".half").touch()
    crossed(job, home, tmp_path, train=False)
    node = tmp_path / "node" / "runs" / "cells" / job.key
    assert tiny.tree(node) == {"checkpoint.safetensors": b"of the driver"}
    (node / "checkpoint.safetensors").write_bytes(b"of the node, which is further")
    crossed(job, home, tmp_path, train=False)
    assert (folder / "checkpoint.safetensors").read_bytes() == b"of the node, which is further"


def test_what_comes_back_of_a_finished_cell_adds_to_it(trained: Path, home: Path) -> None:
    """A table that was predicted here before stays; a cell that was trained again takes its place."""
    job = next(iter(lab.planned()))
    folder = job.folder
    before = tiny.tree(folder)
    left = {name: np.frombuffer(content, dtype=np.uint8) for name, content in before.items() if "test-" not in name}
    parcels.receive(job, {**left, "test-new.npy": np.zeros(3, dtype=np.uint8)})
    assert tiny.tree(folder) == {**before, "test-new.npy": bytes(3)}
    parcels.receive(job, {**left, DONE: np.frombuffer(b"{}", dtype=np.uint8)})
    assert set(tiny.tree(folder)) == set(left)
    parcels.receive(job, None)
    assert set(tiny.tree(folder)) == set(left)


def test_a_teachers_predictions_and_what_a_cell_starts_from_go_along(trained: Path, home: Path) -> None:
    cell = lab.planned()[0]
    other = lab.planned()[-1]
    job = Job(replace(cell, teachers=(other,)), None, None, None)
    found = {(parcel.folder, parcel.mark) for parcel in Post().parcels(job)}
    marks = {path.name for path in other.folder.glob("test-*.json")} | {DONE}
    assert {(f"cells/{other.key}", mark) for mark in marks} <= found


def test_cells_with_channels_need_the_shared_folder() -> None:
    job = lab.fake()
    job.cell.model.fitted_as, job.cell.model.label, job.cell.model.channels_from = "network", "wide", ""
    parcels.refuse_channels([job])
    job.cell.model.channels_from = "smoother"
    with pytest.raises(UserError, match=r"'wide' estimates open rows .*executor.data = 'shared'"):
        parcels.refuse_channels([job])
