"""Faults of a cluster: what a worker of Ray does to itself, or to its node, once at each stage of a run.

A test puts one of these in the place of worker.run_cell, by `instead`; workers get it by value, and need no test file.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
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
