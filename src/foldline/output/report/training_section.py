"""The training of the cells: learning curves, time, and the list of cells with their keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foldline.core import artefacts
from foldline.core.durations import duration
from foldline.core.pages import bars, collapsed, note, table
from foldline.output.learning_curves import learning_curves
from foldline.output.report.report_data import ReportData
from foldline.run.cells import Cell
from foldline.run.history import read_history


def seconds_of(cell: Cell) -> float:
    """Read how long the training of a cell took, s; 0 where a pre-training cell has lost that."""
    if not cell.done:
        return 0.0
    return float(artefacts.read_json(cell.folder / "done.json")["time.train_s"])


def cells_by_model(report: ReportData) -> dict[str, list[Cell]]:
    """Group the cells by their model's label; pre-training cells are groups of their own."""
    found: dict[str, list[Cell]] = {}
    for cell in report.cells:
        found.setdefault(cell.line, []).append(cell)
    return found


def curves(report: ReportData) -> str:
    """Draw the learning curves of each model's cells."""
    histories = {name: [read_history(cell) for cell in members] for name, members in cells_by_model(report).items()}
    drawn = learning_curves(histories, report.kind, report.config.data.metric)
    return drawn or "<p>No model here is trained in epochs.</p>"


def times(report: ReportData) -> str:
    """Draw the time of each model's cells and of each other step of the run, longest first, and list it by model."""
    totals = {name: sum(map(seconds_of, members)) for name, members in cells_by_model(report).items()}
    shown = [(f"cells of {name}", total) for name, total in totals.items()]
    shown += [(name, seconds) for name, seconds in report.provenance.seconds.items() if seconds >= 0.05]
    shown.sort(key=lambda pair: -pair[1])
    rows = [_times(name, members) for name, members in cells_by_model(report).items()]
    columns = ["", "cells", "all", "shortest", "longest", "s an epoch"]
    return (
        bars([(name, seconds, duration(seconds)) for name, seconds in shown])
        + f"<br>{table(columns, rows, plain=True)}"
        + note("Cells that ran side by side are added up. Steps whose result was stored already are not repeated.")
    )


def _times(name: str, members: Sequence[Cell]) -> list[str]:
    each = [seconds_of(cell) for cell in members]
    epochs = [row["time.epoch_s"] for cell in members for row in read_history(cell) if "time.epoch_s" in row]
    several = any(len(read_history(cell)) > 1 for cell in members)
    an_epoch = f"{np.mean(epochs):.2f}" if epochs and several else ""
    return [name, str(len(each)), duration(sum(each)), duration(min(each)), duration(max(each)), an_epoch]


def cell_list(report: ReportData) -> str:
    """List the cells: key, last training loss, time."""
    rows = []
    for cell in report.cells:
        losses = [
            f"{row['loss']:.4f}" for row in read_history(cell)
        ]  # none where a pre-trained model is not trained further
        rows.append([cell.name, cell.key, *(losses[-1:] or [""]), f"{seconds_of(cell):.1f}"])
    text = collapsed(f"{len(rows)} cells", table(["cell", "key", "training loss", "seconds"], rows, plain=True))
    return text + note("Each lies in runs/cells under its key: weights, scaler, history, predictions.")
