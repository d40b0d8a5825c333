"""The audit's page: one self-contained HTML file, in the report's dress."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from foldline.audit.check import Check, Outcome, counted
from foldline.report import CSS

OWN = """
table.audit :is(th,td){text-align:left;vertical-align:top}td.say{white-space:normal;min-width:22rem}
.clean{color:#3fb950}.LEAK{color:#f85149;font-weight:600}.note{color:#d29922}.not{color:var(--faint)}
"""


def page(name: str, found: Sequence[tuple[Check, Outcome]], command: str) -> str:
    """The whole page as text."""
    leaks = [check.name for check, outcome in found if outcome.verdict == "LEAK"]
    answer = f"{counted(len(leaks), 'leak')}: {', '.join(leaks)}" if leaks else "no leak found"
    pictures = "".join(
        f"<h2>{escape(check.name)}</h2>{outcome.picture}<small>{escape(outcome.detail)}</small>"
        for check, outcome in found
        if outcome.picture
    )
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'><link rel='icon' href='data:,'>"
        f"<title>{escape(name)} · audit · foldline</title><style>{CSS}{OWN}</style></head>\n"
        f"<body>\n<h1>{escape(name)}</h1><p class='lead'>foldline audit: {escape(answer)}</p>\n"
        f"{_table(found)}\n{pictures}\n<h2>How to make it again</h2><pre>{escape(command)}</pre></body></html>\n"
    )


def _table(found: Sequence[tuple[Check, Outcome]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(check.name)}<br><small>{escape(check.looks_at)}</small></td>"
        f"<td class='{outcome.verdict.split()[0]}'>{outcome.verdict}</td>"
        f"<td class='say'>{escape(outcome.detail)}</td></tr>"
        for check, outcome in found
    )
    head = "<tr><th>check</th><th>verdict</th><th>detail</th></tr>"
    return f"<div class='scroll'><table class='plain audit'>{head}{rows}</table></div>"
