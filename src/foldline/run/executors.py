"""Where cells run: in this process one after another, or in worker processes. The result is the same to the last bit.

An executor takes jobs and reports events. A job begins as soon as what its cell needs is done (schedule.py); what a
cell does while it runs is in cell_training.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from foldline.core import interrupt
from foldline.run import followers, process_executor, turns
from foldline.run.cells import Job
from foldline.run.executor_config import ExecutorConfig
from foldline.run.turns import OnEvent


def execute(jobs: Sequence[Job], config: ExecutorConfig, on_event: OnEvent) -> None:
    """Run all jobs; returns when the last is done.

    Args:
        jobs: with different keys. One whose cell needs another's begins when that is done, whatever their order.

    Raises:
        CellFailed: the first job that failed; the jobs that were running are given up, finished ones stay.
        UserError: the workers could not go on.
    """
    followers.check(jobs, config)
    workers = workers_for(jobs, config)
    if workers == 1:
        with interrupt.deferred(signal.SIGINT, signal.SIGTERM):
            turns.take_turns(jobs, config.together, on_event)
    else:
        process_executor.execute(jobs, workers, config.together, on_event)


def workers_for(jobs: Sequence[Job], config: ExecutorConfig) -> int:
    """Return the number of processes; 1 stands for this one."""
    on_cpu = all(job.cell.model.train.device_used == "cpu" for job in jobs)
    if followers.trained_together(jobs):
        return 1  # its processes are torchrun's
    if not jobs or config.kind == "serial" or (config.kind == "auto" and (not on_cpu or len(jobs) == 1)):
        return 1
    threads = max(job.cell.model.train.threads for job in jobs)
    return min(len(jobs), config.workers or max(1, (os.cpu_count() or 1) // threads))
