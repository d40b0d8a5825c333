"""The plots of the audit's page, as SVG text that follows light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from foldline.core.figures import COLORS, NEUTRAL, STYLE, as_written, svg

SIZE = (8.0, 2.2)  # inches
NARROWEST = 1e-6  # of a histogram, as a share of the values: bins narrower than a float's last digits can't be made


def histogram(values: np.ndarray, line: float, xlabel: str) -> str:
    """Draw a histogram of values, (n,) finite, and one value as a line."""
    low, high = float(values.min()), float(values.max())
    least = NARROWEST * max(abs(low), abs(high)) or 1.0
    if high - low < least:
        low, high = low - least, high + least
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        axes.hist(values.astype(np.float64), bins=60, range=(low, high), color=NEUTRAL, alpha=0.6)
        axes.axvline(line, color=COLORS[5], linewidth=1.6)
        axes.set(xlabel=xlabel, yticks=[])
        return svg(figure)


def bars(names: Sequence[str], values: Sequence[float], line: float, xlabel: str) -> str:
    """Draw one bar a name, the first on top, and a line at the value that means no effect."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(SIZE[0], 0.6 + 0.28 * len(names)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(names))[::-1]
        axes.barh(places, values, color=COLORS[0], alpha=0.8, height=0.6)
        axes.axvline(line, color=NEUTRAL, linewidth=1.2)
        axes.set(xlabel=xlabel, yticks=places, yticklabels=list(map(as_written, names)))
        return svg(figure)
