"""Where cells run: in this process one after another, in worker processes, or on a Ray cluster; with the same bits.

An executor takes jobs and reports events. A job begins as soon as what its cell needs is done (schedule.py); what a
cell does while it runs is in cell_training.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from foldline.core import interrupt
from foldline.run import followers, process_executor, turns
from foldline.run.cells import Job
from foldline.run.executor_config import ExecutorConfig
from foldline.run.lanes import lanes_for
from foldline.run.on_ray import cluster_run, nodes, session
from foldline.run.turns import OnEvent

# Finished cells that only predict begin in this process: each worker imports PyTorch, which takes longer than most
# tables. In s of the processor, a few times what that takes on a busy machine: who has more to predict loses no more.
BRIEFLY_S = 10.0


def execute(jobs: Sequence[Job], config: ExecutorConfig, on_event: OnEvent) -> None:
    """Run all jobs; returns when the last is done.

    Args:
        jobs: with different keys. One whose cell needs another's begins when that is done, whatever their order.

    Raises:
        CellFailed: the first job that failed; the jobs that were running are given up, finished ones stay.
        UserError: the workers could not go on.
    """
    followers.check(jobs, config)
    if config.kind == "ray" and jobs:
        cluster_run.execute(jobs, config, on_event)
        return
    lanes = lanes_for(jobs, config)
    if config.kind == "auto" and lanes.workers > 1 and not lanes.gpus and all(job.train is None for job in jobs):
        alone = [replace(job, beside=lanes.workers - 1) for job in jobs]  # nothing else keeps the cores busy
        with interrupt.deferred(signal.SIGINT, signal.SIGTERM):
            left = turns.take_turns_briefly(alone, config.together, on_event, BRIEFLY_S)
        jobs = [replace(job, beside=0) for job in left]
        lanes = lanes_for(jobs, config)
    if lanes.workers == 1:
        with interrupt.deferred(signal.SIGINT, signal.SIGTERM):
            turns.take_turns(jobs, config.together, on_event)
    else:
        process_executor.execute(jobs, lanes.workers, config.together, on_event, lanes.gpus)


def workers_for(jobs: Sequence[Job], config: ExecutorConfig) -> int:
    """Return how many processes there are; 1 stands for this one. On a cluster: how many cells run at once."""
    if not jobs:
        return 1
    if config.kind == "ray":
        return min(len(jobs), config.workers or _on_nodes(jobs, config))
    return lanes_for(jobs, config).workers


def _on_nodes(jobs: Sequence[Job], config: ExecutorConfig) -> int:
    """Return how many cells a cluster holds at once; this machine, where this process is not part of one yet."""
    needs = [nodes.Needs.of(job, config) for job in jobs]
    if session.connected():
        return min(nodes.at_once(need) for need in needs)
    return max(1, int((os.cpu_count() or 1) // max(need.cpus for need in needs)))


@contextmanager
def opened(config: ExecutorConfig) -> Iterator[None]:
    """Join or start what cells run on, to leave or end it with the block; `execute` does so itself where nobody has."""
    if config.kind == "ray":
        with session.opened(config):
            yield
    else:
        yield


def check(config: ExecutorConfig) -> None:
    """Check that what runs cells is installed; nothing is started.

    Raises:
        UserError: Ray is not.
    """
    if config.kind == "ray":
        session.require()
