"""HTML pages: the shell of every page that foldline writes, and SVG charts. A page requests nothing from anywhere.

- shell.py: a page from sections; tables, facts, bars, ranges, collapsed parts, how to reproduce it
- charts.py: lines, bands and dots as a small SVG that follows the page's light and dark colours
- style.css: the style of all pages
- chromium.py: a headless browser that opens a page, for the tests and for the README's pictures
"""

from foldline.core.pages.charts import COLORS, Band, Dots, Line, Mark, chart, legend
from foldline.core.pages.shell import (
    CSS,
    Facts,
    Section,
    Sections,
    bars,
    collapsed,
    facts_in,
    figures,
    matrix,
    note,
    page,
    reproduction,
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
    "bars",
    "chart",
    "collapsed",
    "facts_in",
    "figures",
    "legend",
    "matrix",
    "note",
    "page",
    "reproduction",
    "table",
    "whiskers",
]
