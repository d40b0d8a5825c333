"""[track], and the sink that the runner hands its cells' events to; wandb stands behind it (output/tracking/)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from foldline.run.cells import Cell

Mode = Literal["online", "offline", "disabled"]


@dataclass(frozen=True, kw_only=True)
class TrackConfig:
    """[track]: where the curves go, besides each cell's history.jsonl."""

    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str = "foldline"


class Tracker(Protocol):
    """Keeps the curves of a run's cells; a context manager that closes what is open."""

    mode: Mode
    trouble: str  # what it could not do and how it goes on; empty: nothing went wrong

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def event(self, cell: Cell, kind: str, values: dict[str, Any]) -> None:
        """Take one event of an executor: "epoch", "done", ..."""


OpenTracker = Callable[[TrackConfig, str, Path, str], Tracker]  # [track], experiment, its folder, the verb
