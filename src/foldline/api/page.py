"""A page that foldline has written: a path, shown inside a notebook where it is the value of a cell."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

HEIGHT_PX = 900


@dataclass(frozen=True)
class Page:
    """An HTML page on the disk. In Jupyter it is shown in a frame of its own: neither styles nor scripts leave it."""

    path: Path  # of the HTML file

    def html(self) -> str:
        """Read the page."""
        return self.path.read_text(encoding="utf-8")

    def _repr_html_(self) -> str:
        frame = f"width='100%' height='{HEIGHT_PX}' style='border:0'"
        return f"<iframe srcdoc='{html.escape(self.html())}' {frame}></iframe>"

    def __str__(self) -> str:
        return str(self.path)
