"""Which workers a run has on this machine: one for each GPU, and beside them others for what is trained on the CPU.

A worker with a GPU sees no other one: CUDA_VISIBLE_DEVICES is set before it begins. Networks whose device is a GPU go
to such workers; trees, models of whole series and networks on the CPU never do, and keep no GPU from a network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from foldline.run.cells import Job
from foldline.run.executor_config import ExecutorConfig

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Lanes:
    """The workers of a run. One in all stands for this process, which trains whatever comes."""

    gpus: tuple[str, ...] = ()  # what CUDA_VISIBLE_DEVICES says in each worker with a GPU; empty: as it is
    others: int = 1  # workers without

    @property
    def workers(self) -> int:
        """How many there are."""
        return len(self.gpus) + self.others


def lanes_for(jobs: Sequence[Job], config: ExecutorConfig) -> Lanes:
    """Choose the workers of a run on this machine."""
    if not jobs or config.kind == "serial" or config.workers == 1 or (config.kind == "auto" and len(jobs) == 1):
        return Lanes()
    if any(job.cell.model.processes > 1 for job in jobs):
        return Lanes()  # torchrun has started them, and this is the first (followers.py)
    on_gpus = [job for job in jobs if job.cell.model.on_gpu]
    others = [job for job in jobs if not job.cell.model.on_gpu]
    if not on_gpus:
        return Lanes(others=min(len(others), config.workers or _on_cores(others, 0)))
    words = _visible()
    gpus = tuple(islice(cycle(words), min(len(on_gpus), config.workers or len(words))))
    if len(gpus) == 1 and not others:
        return Lanes()
    return Lanes(gpus, min(len(others), _on_cores(others, len(gpus))) if others else 0)


def _on_cores(jobs: Sequence[Job], taken: int) -> int:
    """Return how many jobs the cores hold at once, at least one. taken: cores that workers with GPUs need."""
    threads = max(job.cell.model.train.threads for job in jobs)
    return max(1, ((os.cpu_count() or 1) - taken) // threads)


def _visible() -> list[str]:
    """Return a word for each GPU of this process by which CUDA_VISIBLE_DEVICES shows that one alone."""
    import torch

    named = [word.strip() for word in os.environ.get(VISIBLE, "").split(",") if word.strip()]
    count = torch.cuda.device_count()
    if not count:  # a device of another kind, of which there is one
        return [""]
    return [named[number] if number < len(named) else str(number) for number in range(count)]


def show_only(gpu: str) -> None:
    """Let this process, before it has used any, see one GPU. gpu: its word; empty: change nothing."""
    if gpu:
        os.environ[VISIBLE] = gpu


class Todo:
    """Where jobs wait for the workers of their kind."""

    def __init__(self, gpu: Any, other: Any, of_workers: Sequence[Any]) -> None:
        """gpu, other: the two queues; of_workers: the queue of each worker."""
        self._gpu, self._other, self._ends = gpu, other, list(of_workers)

    def put(self, job: Job | None) -> None:
        """Give a job to the workers of its kind; None ends one worker, a different one each time."""
        if job is None:
            self._ends.pop().put(None)
        else:
            (self._gpu if job.cell.model.on_gpu else self._other).put(job)
