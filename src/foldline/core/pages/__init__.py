"""Pages: the one shell of every HTML file that foldline writes, and hand-made SVG charts. No request to anywhere.

- shell.py: a page from sections; tables, facts, bars, ranges, folded parts, how to make it again
- charts.py: lines, bands and dots as a small SVG that follows the page's light and dark colours
- style.css: how all of it looks
- chromium.py: a headless browser that looks at a page, for the tests and for the README's pictures
"""

from foldline.core.pages.charts import COLORS, Band, Dots, Line, Mark, chart, legend
from foldline.core.pages.shell import (
    CSS,
    Facts,
    Section,
    Sections,
    again,
    bars,
    figures,
    folded,
    matrix,
    note,
    page,
    table,
    whiskers,
)

__all__ = [
    "COLORS",
    "CSS",
    "Band",
    "Dots",
    "Facts",
    "Line",
    "Mark",
    "Section",
    "Sections",
    "again",
    "bars",
    "chart",
    "figures",
    "folded",
    "legend",
    "matrix",
    "note",
    "page",
    "table",
    "whiskers",
]
