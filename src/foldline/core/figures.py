"""matplotlib figures as SVG that follows a page's light and dark colours. Charts without matplotlib: pages/charts.py.

They are drawn on a transparent ground in placeholder colours, which `svg` replaces by the page's CSS variables.
"""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

import matplotlib
from matplotlib.figure import Figure

NEUTRAL = "#7d8590"
COLORS = ("#0b7a6b", "#d2691e", "#1a7f37", "#7a5cc4", "#b08800", "#c9372c", "#2f74c0", "#c2407e")
VARIABLES = (
    "--accent",
    "--c1",
    "--good",
    "--c2",
    "--c4",
    "--bad",
    "--c3",
    "--c5",
)  # of a page, for COLORS
PX_PER_INCH = 100  # on the page: text of 9 points is 12.5 px high there
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "foldline",  # ids inside the SVG are the same in every run
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


def as_written(name: str) -> str:
    """Return a name that users chose as matplotlib shows it unchanged: two $ would hold a formula, or what is none."""
    return name.replace("$", r"\$")


def svg(figure: Figure) -> str:
    """Convert a figure to HTML, the same text for the same figure. On a page too narrow for it, it scrolls."""
    text = io.StringIO()
    with warnings.catch_warnings():  # text stays text: the browser has letters that matplotlib's own font lacks
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    body = text.getvalue()
    body = re.sub(r"<metadata>.*?</metadata>", "", body[body.index("<svg") :], flags=re.DOTALL)
    body = re.sub(r' id="[a-z0-9]+_\d+"', "", body)  # ids of matplotlib's parts would repeat on a page of several
    for color, variable in [(NEUTRAL, "--faint"), *zip(COLORS, VARIABLES, strict=True)]:
        body = body.replace(color, f"var({variable},{color})")
    width = round(PX_PER_INCH * figure.get_figwidth())
    size = f'style="width:100%;max-width:{width}px;min-width:{min(width, 560)}px"'
    body = re.sub(r'width="[0-9.]+pt" height="[0-9.]+pt"', size, body, count=1)
    return f"<div class='picture'>{body}</div>"
