"""Workers of a machine with GPUs: one a GPU, which sees no other, and others for what is trained on the CPU."""

from __future__ import annotations

import os
import queue
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from devices import GPU
from lab import fake, jobs
from test_cells import weights_of

from foldline.core import worker_start
from foldline.run import estimate, executors, lanes, process_executor
from foldline.run.cells import ModelConfig
from foldline.run.executor_config import ExecutorConfig
from foldline.run.lanes import Lanes, lanes_for

NETS, TREES, ON_CPU = [fake("cuda")] * 6, [fake("cuda", trees=True)] * 4, [fake()] * 3
AUTO, PROCESS = ExecutorConfig(), ExecutorConfig(kind="process")


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the machine have 8 cores and so many GPUs."""

    def have(count: int, visible: str | None = None) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
        monkeypatch.delenv(lanes.VISIBLE, raising=False)
        if visible is not None:
            monkeypatch.setenv(lanes.VISIBLE, visible)

    return have


@pytest.mark.parametrize(
    ("count", "given", "config", "expected"),
    [
        (1, NETS, AUTO, Lanes()),  # in this process, as ever
        (1, NETS, PROCESS, Lanes()),
        (2, NETS, AUTO, Lanes(("0", "1"), 0)),
        (8, NETS, AUTO, Lanes(tuple("012345"), 0)),  # one for each cell
        (2, NETS, ExecutorConfig(kind="serial"), Lanes()),
        (2, NETS, ExecutorConfig(workers=1), Lanes()),
        (2, NETS, ExecutorConfig(workers=4), Lanes(tuple("0101"), 0)),  # two on each GPU
        (1, [*NETS, *TREES], AUTO, Lanes(("0",), 4)),  # trees grow beside networks, on cores
        (4, [*NETS, *TREES, *ON_CPU], AUTO, Lanes(tuple("0123"), 4)),
        (4, TREES, AUTO, Lanes((), 4)),  # trees never count as a GPU's cells
        (4, [fake("cuda", threads=8, trees=True)] * 2 + NETS, AUTO, Lanes(tuple("0123"), 1)),
        (4, NETS[:1], AUTO, Lanes()),
        (0, [fake("mps")] * 3, AUTO, Lanes()),
        (0, [*[fake("mps")] * 3, *ON_CPU], AUTO, Lanes(("",), 3)),
        (4, [], AUTO, Lanes()),
    ],
)
def test_which_workers_there_are(count: int, given: list[Any], config: Any, expected: Lanes, gpus: Any) -> None:
    gpus(count)
    assert lanes_for(given, config) == expected and executors.workers_for(given, config) == expected.workers


def test_workers_see_gpus_of_those_that_their_parent_sees(gpus: Any) -> None:
    gpus(2, "3, GPU-5a1b")
    assert lanes_for(NETS, AUTO).gpus == ("3", "GPU-5a1b")


def test_jobs_go_to_the_workers_of_their_kind_and_each_worker_is_told_once_that_there_are_no_more() -> None:
    gpu, other = queue.Queue[Any](), queue.Queue[Any]()
    todo = lanes.Todo(gpu, other, [gpu, gpu, other])
    for job in (net := fake("cuda"), trees := fake("cuda", trees=True), cpu := fake(), None, None, None):
        todo.put(job)
    assert list(gpu.queue) == [net, None, None] and list(other.queue) == [trees, cpu, None]


def test_a_worker_sees_its_gpu_alone_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    monkeypatch.setenv(lanes.VISIBLE, "0,1,2")
    monkeypatch.setattr(worker_start, "die_with_parent", lambda: seen.append(os.environ.get(lanes.VISIBLE)))
    todo = queue.Queue[Any]()
    for word in ("2", ""):
        todo.put(None)
        process_executor._work(todo, queue.Queue(), 1, None, word)
    assert seen == ["2", "2"]  # an empty word changes nothing


@pytest.mark.slow
def test_networks_on_workers_with_gpus_and_trees_beside_them_end_as_one_by_one(
    trained_once: Path, rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPU networks stand for those on GPUs: which worker takes a cell changes no bit of it."""
    monkeypatch.setattr(ModelConfig, "on_gpu", property(lambda self: self.is_network))
    monkeypatch.setattr(executors, "lanes_for", lambda *_: Lanes(("0", "1"), 1))
    done: list[str] = []
    executors.execute(jobs(), PROCESS, lambda job, kind, _: done.extend([job.key] if kind == "done" else []))
    found, expected = weights_of(home), weights_of(trained_once / "home")
    assert len(done) == 4 and found == {name: expected[name] for name in found} and len(found) >= 4 * 3


def test_the_estimate_knows_that_trees_wait_for_no_gpu() -> None:
    """Two networks of 3 s on one GPU, and trees of 2 s on the other worker: 6 s, not 5."""
    every = [fake("cuda", key="a"), fake("cuda", key="b"), fake("cuda", key="c", trees=True)]
    seconds = {"a": 3.0, "b": 3.0, "c": 2.0}
    assert [estimate._elapsed_s(every, seconds, 2, gpus) for gpus in (0, 1)] == [5.0, 6.0]


@pytest.mark.parametrize("name", [GPU])
@pytest.mark.filterwarnings("ignore:.*eterministic:UserWarning")
def test_a_worker_a_gpu_trains_what_this_process_does(name: str, tmp_path: Path) -> None:
    left = []
    for kind in ("serial", "process"):
        (tmp_path / kind).mkdir()
        with tiny.home_of_rides(tmp_path / kind) as home:
            words = f"executor.kind={kind}", "executor.workers=2", f"train.device={name}", "train.deterministic=on"
            tiny.run("train", "rides", *words)
            left.append(weights_of(home))
    assert left[0] == left[1] and len(left[0]) >= 4 * 3
