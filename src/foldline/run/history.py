"""history.jsonl of a cell: one line an epoch, written while it trains; trackers and reports show copies of it."""

from __future__ import annotations

import json
from typing import IO, Any

from foldline.core.json_values import without_nan
from foldline.fit.trainer import Emit
from foldline.run import cells
from foldline.run.cells import Cell
from foldline.run.progress_file import HISTORY, rows_of


def recording(emit: Emit, stream: IO[str]) -> Emit:
    """Return an emitter that writes every epoch to `stream` before it passes the event on.

    The epochs of a resumed cell are written, and emitted, again: whoever follows this run sees the whole history.
    """

    def record(kind: str, **values: Any) -> None:
        rows = values.pop("history") if kind == "resumed" else [values] if kind == "epoch" else []
        for row in rows:
            stream.write(json.dumps(without_nan(row)) + "\n")
            stream.flush()  # a run that is killed leaves the epochs it finished
            if kind == "resumed":
                emit("epoch", **row)
        emit(kind, **values)

    return record


def read_history(cell: Cell) -> list[dict[str, Any]]:
    """Read the epochs of a finished or running cell, one dict each; none where it has not begun, or is damaged.

    A finished cell may be damaged where nothing needs it any more: a pre-training cell whose students are finished.
    """
    path = cell.folder / HISTORY
    if not path.exists() or ((cell.folder / cells.DONE).exists() and not cell.done):
        return []
    return rows_of(path)
