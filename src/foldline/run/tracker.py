"""[track], and the interface of a tracker, which gets the events of running cells; output/tracking/ has wandb's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from foldline.run.cells import Cell

Mode = Literal["online", "offline", "disabled"]


@dataclass(frozen=True, kw_only=True)
class TrackConfig:
    """[track]: where learning curves are shown, besides each cell's history.jsonl."""

    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str = "foldline"


class Tracker(Protocol):
    """Shows the learning curves of a run's cells; a context manager that closes what is open."""

    mode: Mode
    trouble: str  # what failed, and what is done instead; empty: nothing failed

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def event(self, cell: Cell, kind: str, values: dict[str, Any]) -> None:
        """Handle one event of an executor. kind: "epoch", "done", ...; values: of that kind."""


OpenTracker = Callable[[TrackConfig, str, Path, str], Tracker]  # [track], experiment, its folder, the verb
