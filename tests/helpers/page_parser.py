"""Reads a page as a browser would."""

from __future__ import annotations

from html.parser import HTMLParser


class Page(HTMLParser):
    """Collects headings and what a page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.headings: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what a tag refers to."""
        self._inside = tag
        self.loads += [value for name, value in attributes if name in ("src", "href", "xlink:href") and value]

    def handle_data(self, data: str) -> None:
        """Note the text of a heading."""
        if self._inside in ("h1", "h2") and data.strip():
            self.headings.append(data.strip())
