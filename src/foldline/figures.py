"""The report's pictures: matplotlib figures as SVG text, readable on a light and on a dark page.

Lines and text are drawn in a neutral grey, the background is transparent.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

NEUTRAL = "#7d8590"
COLORS = ("#2f81f7", "#db6d28", "#3fb950", "#a371f7", "#d29922", "#f85149", "#39c5cf", "#bf4b8a")
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "foldline",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.prop_cycle": matplotlib.cycler(color=COLORS),  # type: ignore[attr-defined]
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.color": NEUTRAL,
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), NEUTRAL),
    **dict.fromkeys(("text.color", "legend.labelcolor"), NEUTRAL),
}


def svg(figure: Figure) -> str:
    """The <svg> element, the same text for the same figure."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    body = text.getvalue()
    body = body[body.index("<svg") :]
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'width="100%"', body, count=1)


def _figure(columns: int = 1, width: float = 8.0, height: float = 3.0) -> tuple[Figure, list[matplotlib.axes.Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, columns)))


def learning_curves(curves: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Training loss by epoch: a colour a model, a line a cell. curves: label -> losses of each of its cells."""
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = _figure()
        for number, (label, cells) in enumerate(curves.items()):
            for position, losses in enumerate(cells):
                axes.plot(
                    range(1, len(losses) + 1),
                    losses,
                    color=COLORS[number % len(COLORS)],
                    alpha=0.8,
                    label=None if position else label,
                )
        axes.set(xlabel="epoch", ylabel="training loss (scaled)", yscale="log")
        axes.legend(frameon=False)
        return svg(figure)


def error_by_step(time: np.ndarray, errors: Mapping[str, np.ndarray], unit: str) -> str:
    """Mean absolute error at each step. time: (T,) mean of the order column; errors: label -> (T,)."""
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = _figure()
        for label, values in errors.items():
            axes.plot(time, values, label=label)
        axes.set(xlabel=unit, ylabel="mean absolute error", ylim=(0, None))
        axes.legend(frameon=False)
        return svg(figure)


def series_panels(
    panels: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]], xlabel: str, ylabel: str
) -> str:
    """Some series: (title, time, truth, prediction, first input), each (steps,) of the scored part; input in grey."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(len(panels), height=3.2)
        for place, (title, time, truth, prediction, given) in zip(axes, panels, strict=True):
            shade = place.twinx()
            shade.fill_between(time, given, color=NEUTRAL, alpha=0.18, linewidth=0)
            shade.set(yticks=[], ylim=(0, max(1e-9, float(given.max()) * 2.2)))
            shade.grid(visible=False)
            place.plot(time, truth, color=NEUTRAL, linewidth=2, label="truth")
            place.plot(time, prediction, color=COLORS[0], linewidth=1.4, label="out-of-fold")
            place.set_title(title, fontsize=9)
            place.set(xlabel=xlabel)
        axes[0].set(ylabel=ylabel)
        axes[0].legend(frameon=False, fontsize=8)
        return svg(figure)
