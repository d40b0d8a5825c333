"""Pictures of the blend's page, in the style of the report's."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from foldline.blend.methods import Decision
from foldline.blend.study import Worth
from foldline.figures import COLORS, NEUTRAL, STYLE, svg


def _rows(count: int, columns: int = 1) -> tuple[Figure, list[matplotlib.axes.Axes]]:
    """A figure for a list of `count` lines, top down."""
    figure = Figure(figsize=(8.0, 1.0 + 0.3 * count), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(1, columns, sharey=True)))
    axes[0].set(ylim=(count - 0.5, -0.5))
    return figure, axes


def methods(compared: Decision, submitted: str) -> str:
    """How far each method is behind the best, with one standard error to either side; the submitted one is filled."""
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = _rows(len(compared.tried))
        axes.axvline(0, color=NEUTRAL, linewidth=1)
        for place, each in enumerate(compared.tried):
            face = COLORS[0] if each.method == submitted else "none"
            axes.errorbar(
                each.behind, place, xerr=each.error, fmt="o", color=COLORS[0], markerfacecolor=face, capsize=2
            )
        axes.set_yticks(range(len(compared.tried)), [each.method for each in compared.tried])
        axes.set(xlabel="mean loss behind the best, nested; bars: one standard error over series")
        return svg(figure)


def members(worths: Sequence[Worth], weights: np.ndarray | None) -> str:
    """What each member saves the blend, and beside it its weight in each of the nested fits. weights: (parts, M)."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _rows(len(worths), 1 if weights is None else 2)
        places = np.arange(len(worths))
        gains, errors = [each.gain for each in worths], [each.error for each in worths]
        axes[0].axvline(0, color=NEUTRAL, linewidth=1)
        axes[0].errorbar(gains, places, xerr=errors, fmt="o", color=COLORS[0], capsize=2)
        axes[0].set_yticks(places, [each.label for each in worths])
        axes[0].set(xlabel="mean loss it saves the blend")
        if weights is not None:
            for line in weights:
                axes[1].plot(line, places, "o", color=COLORS[1], alpha=0.6)
            axes[1].set(xlabel="weight, fitted without each fold in turn")
        return svg(figure)


def correlation(labels: Sequence[str], values: np.ndarray) -> str:
    """(M, M) correlations as shades, with their numbers."""
    with matplotlib.rc_context(STYLE):
        side = 1.6 + 0.55 * len(labels)
        figure = Figure(figsize=(side + 1.5, side), layout="constrained")
        axes = figure.subplots()
        lowest = min(0.0, float(values.min()))
        axes.pcolormesh(values, cmap="Blues", vmin=lowest, vmax=1.0, alpha=0.8)
        for row, line in enumerate(values):
            for column, value in enumerate(line):
                shade = "white" if value - lowest > 0.65 * (1 - lowest) else NEUTRAL
                axes.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", color=shade)
        ticks = np.arange(len(labels)) + 0.5
        axes.set_xticks(ticks, labels, rotation=40, ha="right")
        axes.set_yticks(ticks, labels)
        axes.invert_yaxis()
        axes.grid(visible=False)
        return svg(figure)
