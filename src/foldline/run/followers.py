"""What the processes behind the first one do where several train a network together (fit/ranks.py).

The first one runs the verb as if it were alone: it plans, stores, scores and speaks. When it begins a cell whose
network is trained by all, it hands the job to the others; these fit the network in step with it, and store nothing.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

import torch

from foldline.core import interrupt
from foldline.core.errors import ExitCode, UserError
from foldline.fit.ranks import Ranks, refuse_other_count
from foldline.run import cell_training
from foldline.run.cells import Job
from foldline.run.executor_config import ExecutorConfig

FIRST_SAYS_S = 10.0  # what ends all processes alike the first one says: the others wait that long for their end


def follow(ranks: Ranks) -> int:
    """Fit what the first process begins, until it is at its end; returns the exit code.

    Raises:
        UserError: this process could not go on, and the first one has not ended for the same reason.
    """
    nothing: Job | None = None
    try:
        while (job := ranks.from_first(nothing)) is not None:
            with interrupt.deferred(signal.SIGINT, signal.SIGTERM):
                cell_training.follow(job, ranks)
    except interrupt.Stopped:
        return ExitCode.INTERRUPTED
    except UserError:
        time.sleep(FIRST_SAYS_S)
        raise
    return ExitCode.DONE


def dismiss(ranks: Ranks) -> None:
    """Tell the others that there is nothing left to fit. Called by the first process."""
    nothing: Job | None = None
    ranks.from_first(nothing)


def check(jobs: Sequence[Job], config: ExecutorConfig) -> None:
    """Refuse, before any training, networks that several processes are to train where that can't be.

    Raises:
        UserError: there are more or fewer processes, or too few GPUs; the executor would train cells side by side.
    """
    for training in (job.cell.model.train for job in jobs if job.cell.model.processes > 1):
        refuse_other_count(training.processes)
        local = int(os.environ.get("LOCAL_WORLD_SIZE", training.processes))
        if training.device_used == "cuda" and local > torch.cuda.device_count():
            raise UserError(
                f"train.processes: {local} processes on this node need a GPU each, but it has "
                f"{torch.cuda.device_count()}. Start fewer, or set train.device = 'cpu'."
            )
        if config.kind not in ("auto", "serial") or config.together > 1:
            raise UserError(
                f"train.processes = {training.processes} trains one network at a time, with all processes: set "
                f"executor.kind = 'auto' and executor.together = 1, not {config.kind!r} and {config.together}."
            )
