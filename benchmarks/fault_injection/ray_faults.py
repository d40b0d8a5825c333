"""Faults of a cluster: what a worker of Ray does to itself, or to its node, once at each stage of a run.

A test puts one of these in the place of worker.run_cell, by `instead`; workers get it by value, and need no test file.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from foldline.fit import trainer
from foldline.run import cell_training
from foldline.run.cells import Job
from foldline.run.on_ray import worker

STAGES = ("pre-training", "training", "predicting")
DOOMED = "doomed"  # resource of the node that may be killed


def instead(patch: pytest.MonkeyPatch, run_cell: Callable[..., worker.Ended]) -> None:
    """Let workers run this; in their process worker.run_cell is what it always is."""
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    patch.setattr(worker, "run_cell", run_cell)


def once(home: str, name: str) -> bool:
    """Whether this is the first time, in all processes."""
    try:
        (Path(home) / f"fault-{name}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def happened(home: Path) -> set[str]:
    """The faults that there were."""
    return {path.name.removeprefix("fault-") for path in home.glob("fault-*")}


def kills_its_worker(job: Job, shared: worker.Shared, *sent: Any) -> worker.Ended:
    """Run a cell; kill this process the first time that a stage is reached."""
    home = shared.expected.home

    def at(stage: str) -> Callable[[], None]:
        return lambda: os.kill(os.getpid(), signal.SIGKILL) if once(home, stage) else None

    with pytest.MonkeyPatch.context() as patch:
        second_step(patch, at("pre-training" if job.cell.pretraining_store else "training"))
        before(patch, cell_training, "write_predictions", at("predicting"))
        return worker.run_cell(job, shared, *sent)


class Holder:
    """An actor that takes the room of a node."""


@contextmanager
def room_on_the_doomed_node_only(home: Path) -> Iterator[None]:
    """Let cells run on no other node inside the block until that one is killed: Ray alone may leave it without any."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    others = [node for node in ray.nodes() if node["Alive"] and DOOMED not in node["Resources"]]
    strategies = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in others]
    holders = [
        ray.remote(Holder).options(num_cpus=node["Resources"]["CPU"], scheduling_strategy=there).remote()
        for node, there in zip(others, strategies, strict=True)
    ]
    ray.get([holder.__ray_ready__.remote() for holder in holders])
    over = threading.Event()

    def wait_and_release() -> None:
        while "node" not in happened(home) and not over.wait(0.05):
            pass
        for holder in holders:
            ray.kill(holder)

    thread = threading.Thread(target=wait_and_release)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def kills_its_node(job: Job, shared: worker.Shared, *sent: Any) -> worker.Ended:
    """Run a cell; in its second step, and where it has saved one before, kill the raylet of a doomed node."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    doomed = any(node["NodeID"] == here and DOOMED in node["Resources"] for node in ray.nodes())

    def kill() -> None:
        if doomed and once(shared.expected.home, "node"):
            os.kill(os.getppid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        second_step(patch, kill)
        return worker.run_cell(job, shared, *sent)


def second_step(patch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do something in a network's second step."""
    plain, count = trainer.reseed, iter(range(1, 1_000_000))

    def reseed(*given: Any) -> None:
        if next(count) == 2:
            act()
        plain(*given)

    patch.setattr(trainer, "reseed", reseed)


def before(patch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[[], None]) -> None:
    """Do something before each call of a function."""
    plain = getattr(module, name)

    def acting(*given: Any) -> Any:
        act()
        return plain(*given)

    patch.setattr(module, name, acting)
