"""Learning curves: a chart for each model, of the epochs of its cells. The report and the live page show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from foldline.core.pages import COLORS, Line, Mark, chart, figures, legend

Rows = Sequence[Mapping[str, Any]]  # of a cell's history: epoch, loss, and watched where a score is
POINTS = 300  # of a line, at most: a chart is 500 px wide


def learning_curves(histories: Mapping[str, Sequence[Rows]], kind: str, metric: str) -> str:
    """Draw the training loss of each model's cells, and the watched score where there is one; empty without any.

    Args:
        histories: of the cells of each model, by what it is called; those of one epoch are left out.
        kind: of the target; metric: what is watched.
    """
    pictures, every = [], list[Mark]()
    for name, cells in histories.items():
        shown = [rows for rows in cells if len(rows) > 1]
        if shown:
            marks = [mark for place, rows in enumerate(shown) for mark in _curve(rows, place)]
            scored = any("watched" in row for rows in shown for row in rows)
            numbers = kind == "regression"
            ylabel = "loss, in scaled units" if numbers else "loss"
            ylabel += f"; watched {metric}" if scored else ""
            picture = chart(marks, xlabel="epoch", ylabel=ylabel, log=numbers, whole=True, width=500, height=250)
            pictures.append((f"<b>{escape(name)}</b>, {len(shown)} cell{'s' * (len(shown) > 1)}", picture))
            every += marks
    return f"{legend(every)}{figures(pictures, least=340)}" if pictures else ""


def _curve(rows: Rows, place: int) -> list[Mark]:
    """Make the lines of one cell. place: its number in its model's cells, which picks the colour of a watched score."""
    watched = any("watched" in row for row in rows)
    kinds = {"loss": ("neutral thin" if watched else "accent thin", "training loss of a cell")}
    if watched:
        kinds["watched"] = (f"{COLORS[place % len(COLORS)]} thin", "watched score of a cell, in the metric's unit")
    few = [*rows[: -1 : 1 + len(rows) // POINTS], rows[-1]]
    epochs = np.array([row["epoch"] for row in few], dtype=float)
    return [
        Line(x=epochs, y=np.array([row.get(kind, np.nan) for row in few]), style=style, label=label)
        for kind, (style, label) in kinds.items()
    ]
