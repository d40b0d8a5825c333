"""How far a run's cells are, for whoever watches it (`./run.sh live`): runs/NAME/HASH/progress.json, and their epochs.

progress_writer.py writes progress.json while cells are trained; nothing that is trained, predicted or scored depends on
it. history.py writes a cell's epochs. This file knows both formats, and imports no library that takes long.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

PROGRESS = "progress.json"
HISTORY = "history.jsonl"  # in a cell's folder
CellState = Literal["waiting", "training", "done", "failed"]
RunState = Literal["training", "trained", "failed", "stopped"]  # trained: its cells are; the rest goes on, or is done
SAME_S = 2.0  # two times at which a process was started are the same: the system's clock may have been set since


@dataclass(kw_only=True)
class CellProgress:
    """A cell of a run."""

    key: str
    name: str
    label: str  # of its model; pre-training cells have one of their own
    fold: int | None  # None: it holds nothing out
    seed: int
    state: CellState = "waiting"
    done: float = 0.0  # share of its training, 0 to 1
    before: float = 0.0  # share that was done when this run began with it
    began: float | None = None  # s since 1970
    ended: float | None = None
    held_out: float | None = None  # score on the series it held out
    remark: str = ""  # what keeps it waiting, or why it failed


@dataclass(kw_only=True)
class RunProgress:
    """A run that trains cells."""

    part: str  # name of the config that its cells are of: one of several targets has one of its own
    verb: str
    folder: str  # of its record, below runs/
    metric: str
    kind: str  # of its target
    at_a_time: int  # cells that are trained side by side
    began: float  # s since 1970
    process: int  # its number
    process_began: float  # s since 1970: a number may be given again
    state: RunState = "training"
    error: str = ""  # why it failed
    written: float = 0.0  # s since 1970
    notes: list[str] = field(default_factory=list)  # what cells have said
    cells: list[CellProgress] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether its process is there, on this machine."""
        try:
            began: float = psutil.Process(self.process).create_time()
        except psutil.Error:
            return False
        return abs(began - self.process_began) < SAME_S

    @property
    def done(self) -> float:
        """How many cells are done, parts of cells included."""
        return sum(cell.done for cell in self.cells)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def read(path: Path) -> RunProgress | None:
    """Read a progress.json; None where there is none, or what lies there is not one of this version."""
    try:
        value = json.loads(path.read_bytes())
        cells = [CellProgress(**cell) for cell in value.pop("cells")]
        return RunProgress(cells=cells, **value)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Read the epochs of a cell's history.jsonl, one dict each; none where it is damaged.

    A last line without its end is left out: it is being written, or a kill has cut it off. NaN stands for a number that
    is not finite, for which JSON has null.
    """
    try:
        text = path.read_bytes().decode("utf-8")
        rows = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return [{name: math.nan if value is None else value for name, value in row.items()} for row in rows]
    except (OSError, ValueError):  # it is gone; a power cut has left something else
        return []
