"""The page of an audit as one HTML file: verdicts, details, plots."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from foldline.core import pages
from foldline.core.pages import note
from foldline.evidence.audit.audit_check import AuditCheck, CheckResult, counted

OWN = """
table.audit :is(th,td){text-align:left;vertical-align:top}td.say{white-space:normal;min-width:18rem}
td.clean{color:var(--good)}td.LEAK{color:var(--bad);font-weight:600}td.note{color:var(--doubt)}td.not{color:var(--faint)}
@media (max-width:640px){table.audit :is(tbody,tr,td){display:block}table.audit tr:first-child{display:none}
table.audit tr{border-bottom:1px solid var(--line);padding:.6rem 0}
table.audit td{border:0;padding:.1rem 0;position:static;max-width:none}}
"""


def page(name: str, found: Sequence[tuple[AuditCheck, CheckResult]], command: str) -> str:
    """Make the whole page as text."""
    leaks = [check.name for check, outcome in found if outcome.verdict == "LEAK"]
    answer = f"{counted(len(leaks), 'leak')}: {', '.join(leaks)}" if leaks else "no leak found"
    sections = [("Checks", _table(found))]
    sections += [
        (check.name[0].upper() + check.name[1:], f"{outcome.picture}{note(outcome.detail)}")
        for check, outcome in found
        if outcome.picture
    ]
    sections.append(("How to make it again", f"<pre>{escape(command)}</pre>"))
    unchecked = sum(outcome.verdict == "not checked" for _, outcome in found)
    facts = [(str(len(leaks)), "leaks"), (str(len(found)), "checks"), (str(unchecked), "could not be checked")]
    return pages.page(name, "audit", f"Verdict: {answer}.", facts, sections, OWN)


def _table(found: Sequence[tuple[AuditCheck, CheckResult]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(check.name)}<br><small>{escape(check.compares)}</small></td>"
        f"<td class='{outcome.verdict.split()[0]}'>{outcome.verdict}</td>"
        f"<td class='say'>{escape(outcome.detail)}</td></tr>"
        for check, outcome in found
    )
    head = "<tr><th>check</th><th>verdict</th><th>detail</th></tr>"
    return f"<div class='scroll'><table class='plain audit'>{head}{rows}</table></div>"
