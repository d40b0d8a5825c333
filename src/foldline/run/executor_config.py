"""[executor]: where cells run, and how many side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MOST_AT_ONCE = 1024  # cells or processes


@dataclass(frozen=True, kw_only=True)
class ExecutorConfig:
    """[executor]: where cells run. Never part of a cell's key."""

    kind: Literal["auto", "serial", "process"] = "auto"  # auto: serial on a GPU or for one cell, else process
    workers: int = 0  # processes; 0: cores / train.threads
    together: int = 1  # cells that take turns in one process, step by step: on a GPU they overlap

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
