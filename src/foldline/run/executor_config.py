"""[executor]: where cells run, and how many side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

MOST_AT_ONCE = 1024  # cells or processes
LEAST_SHARE = 1e-4  # of a core or a GPU that Ray can set aside
NEWER = ("data", "address", "cpus", "gpus", "memory_gb")  # keys that older versions did not have


@dataclass(frozen=True, kw_only=True)
class ExecutorConfig:
    """[executor]: where cells run. Never part of a cell's key."""

    # auto: serial for one cell or one GPU, else process; cells that only predict begin serially, for 10 s of CPU time
    kind: Literal["auto", "serial", "process", "ray"] = "auto"
    # Processes; 0: one for each GPU and, for what is trained on the CPU, cores / train.threads. Where GPUs train
    # networks: their processes alone, others fill the cores beside them. With "ray" cells at once; 0: what nodes hold
    workers: int = 0
    together: int = 1  # cells that take turns in one process, step by step: on a GPU they overlap
    data: Literal["shared", "object-store"] = "shared"  # Ray nodes see the home folder, or get what cells read sent
    address: str = ""  # of the Ray cluster to join, HOST:PORT or "auto"; empty: RAY_ADDRESS, else one is started here
    cpus: float = 0.0  # cores that a cell takes up on a Ray node; 0: train.threads
    gpus: float = 0.0  # share of a GPU that a cell on one takes up; 0: all of it
    memory_gb: float = 0.0  # GB (1e9 bytes) that a cell takes up on a Ray node; 0: Ray does not look at memory

    def __post_init__(self) -> None:
        if self.workers < 0 or self.together < 1:
            raise ValueError(
                f"workers must not be below 0 and together at least 1, but they are {self.workers} and {self.together}"
            )
        if max(self.workers, self.together) > MOST_AT_ONCE:
            raise ValueError(
                f"workers and together must be at most {MOST_AT_ONCE:,}, but they are {self.workers:,} and "
                f"{self.together:,}: each needs memory for a network, or a process"
            )
        for name, least in (("cpus", self.cpus), ("gpus", self.gpus), ("memory_gb", self.memory_gb)):
            if not (least >= 0.0 and math.isfinite(least)):
                raise ValueError(f"{name} must be 0 or more, but is {least}")
        for name, share in (("cpus", self.cpus), ("gpus", self.gpus)):
            if 0.0 < share < LEAST_SHARE:
                raise ValueError(f"{name} must be 0 or at least {LEAST_SHARE:g}, Ray's smallest share, but is {share}")
        if self.gpus > 1.0:
            raise ValueError(f"gpus must be at most 1, but is {self.gpus}: a cell is trained on one GPU")
        if self.kind == "ray" and self.together > 1:
            raise ValueError(
                f"together must be 1 where kind is 'ray', but is {self.together}: let cells share a GPU by gpus, such "
                "as gpus = 0.25 for four"
            )
