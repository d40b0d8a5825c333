"""The shell: sections in, one self-contained HTML page out, with the same head, tables and last section everywhere.

Whatever is called `text` or stands in a cell is escaped here; whatever is called `body` is HTML already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import tomli_w

Facts = Sequence[tuple[str, str]]  # (value, what it is)
Section = tuple[str, str]  # (title, body); one without a body is left out
Sections = Sequence[Section]
CSS = Path(__file__).with_name("style.css").read_text(encoding="utf-8")


def page(title: str, kind: str, lead: str, facts: Facts, sections: Sections, css: str = "") -> str:
    """A whole page as text.

    Args:
        kind: what it is a page of, such as "experiment".
        lead: the page in a sentence or two.
        facts: the first one is set in the accent colour.
        css: rules that only this page needs.
    """
    shown = [(name, body) for name, body in sections if body]
    links = "".join(f"<a href='#{_anchor(name)}'>{escape(name)}</a>" for name, _ in shown)
    content = "".join(
        f"<section id='{_anchor(name)}'><h2>{escape(name)}</h2>\n{body}\n</section>\n" for name, body in shown
    )
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'><link rel='icon' href='data:,'>"
        f"<title>{escape(title)} · {escape(kind)} · foldline</title><style>\n{CSS}{css}</style></head>\n"
        f"<body><header><div class='kind'>foldline {escape(kind)}</div><h1>{escape(title)}</h1>"
        f"<p class='lead'>{escape(lead)}</p>{_facts(facts)}</header>\n<nav>{links}</nav>\n{content}</body></html>\n"
    )


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _facts(facts: Facts) -> str:
    shown = "".join(f"<div><dd>{escape(value)}</dd><dt>{escape(name)}</dt></div>" for value, name in facts)
    return f"<dl class='facts'>{shown}</dl>"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], plain: bool = False) -> str:
    """A table; its first column is text, the others are numbers. plain: its last row is not the result."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class='scroll'><table class='{'plain' if plain else 'result'}'><tr>{head}</tr>{lines}</table></div>"


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """A bar a row, the largest as long as there is room: (name, value >= 0, the value as it is shown)."""
    longest = max((value for _, value, _ in rows), default=0.0) or 1.0
    shown = "".join(
        f"<span title='{escape(name)}'>{escape(name)}</span>"
        f"<i class='{'' if number else 'first'}' style='--share:{100 * value / longest:.1f}%'></i><b>{escape(text)}</b>"
        for number, (name, value, text) in enumerate(rows)
    )
    return f"<div class='bars'>{shown}</div>"


def figures(items: Sequence[tuple[str, str]], least: int = 300) -> str:
    """Pictures beside each other, as many as fit: (caption's HTML, picture). least: px that one needs."""
    shown = "".join(f"<figure><figcaption>{caption}</figcaption>{body}</figure>" for caption, body in items)
    return f"<div class='figures' style='--least:{least}px'>{shown}</div>"


def note(text: str) -> str:
    """A remark below a table or a picture."""
    return f"<p class='note'>{escape(text)}</p>"


def folded(summary: str, body: str) -> str:
    """What only some readers want: closed until it is clicked."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"


def again(command: str, environment: Mapping[str, str], configs: Mapping[str, Mapping[str, Any]]) -> str:
    """The last section: the command, what it ran on, and resolved configs, title -> tables."""
    versions = " · ".join(f"{name} {value}" for name, value in environment.items())
    resolved = "".join(
        folded(title, f"<pre>{escape(tomli_w.dumps(dict(tables)))}</pre>") for title, tables in configs.items()
    )
    return f"<pre>{escape(command)}</pre>{note(versions)}{resolved}"
