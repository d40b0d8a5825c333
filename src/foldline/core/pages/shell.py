"""The shell of all pages: sections in, one self-contained HTML page out.

Arguments called `text` and the cells of tables are escaped here; arguments called `body` are HTML already.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from foldline.core.text_columns import is_text

Facts = Sequence[tuple[str, str]]  # (value, what it is)
Section = tuple[str, str]  # (title, body); one without a body is left out
Sections = Sequence[Section]
CSS = Path(__file__).with_name("style.css").read_text(encoding="utf-8")


def page(title: str, kind: str, lead: str, facts: Facts, sections: Sections, css: str = "", script: str = "") -> str:
    """Make a page, as the text of an HTML file.

    Args:
        kind: what the page shows, such as "experiment".
        lead: a summary of one or two sentences.
        facts: the first one is shown in the accent colour.
        css: rules for this page only.
        script: address of its script, for a page that changes while it is looked at.
    """
    run = f"<script src='{escape(script)}' defer></script>" if script else ""
    shown = [(name, body) for name, body in sections if body]
    links = "".join(f"<a href='#{_anchor(name)}'>{escape(name)}</a>" for name, _ in shown)
    content = "".join(
        f"<section id='{_anchor(name)}'><h2>{escape(name)}</h2>\n{body}\n</section>\n" for name, body in shown
    )
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'><link rel='icon' href='data:,'>"
        f"<title>{escape(title)} · {escape(kind)} · foldline</title><style>\n{CSS}{css}</style>{run}</head>\n"
        f"<body><header><div class='kind'>foldline {escape(kind)}</div><h1>{escape(title)}</h1>"
        f"<p class='lead'>{escape(lead)}</p><dl class='facts'>{facts_in(facts)}</dl></header>\n"
        f"<nav>{links}</nav>\n{content}</body></html>\n"
    )


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def facts_in(facts: Facts) -> str:
    """Make what stands in a page's list of facts."""
    return "".join(f"<div><dd>{escape(value)}</dd><dt>{escape(name)}</dt></div>" for value, name in facts)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], plain: bool = False) -> str:
    """Make a table: columns of text are aligned left, of numbers right; the first stays in view when a page scrolls.

    Args:
        plain: whether the last row and column are like all others; if not they hold the result and are set off, and the
            column stays in view, too.
    """
    sides = [" class='words'" if number and text else "" for number, text in enumerate(is_text(columns, rows))]
    head = "".join(f"<th{side}>{escape(name)}</th>" for name, side in zip(columns, sides, strict=True))
    cells = (zip(row, sides, strict=True) for row in rows)
    lines = "".join(f"<tr>{''.join(f'<td{side}>{escape(text)}</td>' for text, side in row)}</tr>" for row in cells)
    return f"<div class='scroll'><table class='{'plain' if plain else 'result'}'><tr>{head}</tr>{lines}</table></div>"


def matrix(across: Sequence[str], down: Sequence[str], values: np.ndarray, digits: int = 3) -> str:
    """Make a table of numbers, each with a shade: the larger, the stronger. values: (down, across); NaN is a dash."""
    most = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *across))
    lines = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(_shaded(float(value), most, digits) for value in row)}</tr>"
        for name, row in zip(down, values, strict=True)
    )
    return f"<div class='scroll'><table class='matrix'><tr>{head}</tr>{lines}</table></div>"


def _shaded(value: float, most: float, digits: int) -> str:
    if np.isnan(value):
        return "<td>–</td>"
    heat = 60 * max(0.0, value) / (most or 1.0)
    return f"<td class='heat' style='--heat:{heat:.0f}%'>{value:.{digits}f}</td>"


def bars(rows: Sequence[tuple[str, float, str]], longest: float = 0.0, marked: Collection[str] | None = None) -> str:
    """Make a bar chart.

    Args:
        rows: (name, value >= 0, the value's text).
        longest: the value whose bar would be as long as there is room; 0: the largest one.
        marked: names of rows in the accent colour; None: the first row.
    """
    accents = {name for name, _, _ in rows[:1]} if marked is None else marked
    longest = longest or max((value for _, value, _ in rows), default=0.0) or 1.0
    shown = "".join(
        f"<span title='{escape(name)}'>{escape(name)}</span>"
        f"<i class='{'first' if name in accents else ''}' style='--share:{100 * value / longest:.1f}%'></i>"
        f"<b>{escape(text)}</b>"
        for name, value, text in rows
    )
    return f"<div class='bars'>{shown}</div>"


def whiskers(rows: Sequence[tuple[str, float, float, float]], marked: str = "") -> str:
    """Make a chart of a dot and a range in each row, on one scale with a line at 0.

    Args:
        rows: (name, low, middle, high).
        marked: the name of the row whose dot is filled.
    """
    values = [0.0, *(value for _, *values in rows for value in values)]
    least, most = min(values), max(values)
    reach = (most - least) or 1.0
    places = [[100 * (value - least) / reach for value in values] for _, *values in rows]
    shown = "".join(
        f"<span title='{escape(row[0])}'>{escape(row[0])}</span>"
        f"<i class='{'filled' if row[0] == marked else ''}' "
        f"style='--low:{low:.1f}%;--middle:{middle:.1f}%;--high:{high:.1f}%'></i>"
        for row, (low, middle, high) in zip(rows, places, strict=True)
    )
    ends = f"<small></small><small class='ends'><b>{_end(least)}</b><b>{_end(most)}</b></small>"
    return f"<div class='whiskers' style='--zero:{-100 * least / reach:.1f}%'>{shown}{ends}</div>"


def _end(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def figures(items: Sequence[tuple[str, str]], least: int = 300) -> str:
    """Lay pictures side by side, as many as fit. items: (caption's HTML, picture); least: px that one needs."""
    shown = "".join(f"<figure><figcaption>{caption}</figcaption>{body}</figure>" for caption, body in items)
    return f"<div class='figures' style='--least:{least}px'>{shown}</div>"


def note(text: str) -> str:
    """Make a remark below a table or a picture."""
    return f"<p class='note'>{escape(text)}</p>"


def collapsed(summary: str, body: str) -> str:
    """Make a part that is closed until the reader clicks on its summary."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"


def reproduction(command: str, environment: Mapping[str, str], configs: Mapping[str, Mapping[str, Any]]) -> str:
    """Make the last section: the command, the versions it ran with, and resolved configs (title -> tables)."""
    versions = " · ".join(f"{name} {value}" for name, value in environment.items())
    resolved = "".join(
        collapsed(title, f"<pre>{escape(tomli_w.dumps(dict(tables)))}</pre>") for title, tables in configs.items()
    )
    return f"<pre>{escape(command)}</pre>{note(versions)}{resolved}"
