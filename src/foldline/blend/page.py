"""The page of `./run.sh blend`: one self-contained HTML file with tables and pictures. No request to anywhere."""

from __future__ import annotations

from html import escape

import tomli_w

from foldline import experiment, report
from foldline.blend import pictures, study
from foldline.blend.findings import Findings, Table


def page(found: Findings) -> str:
    """The whole page as text."""
    sections = [
        ("Ways to blend", _methods(found)),
        ("Members", _members(found)),
        ("How alike their errors are", _alike(found)),
        ("Scores, out-of-fold", _table(found.scores())),
        ("How to make it again", _again(found)),
    ]
    body = "".join(f"<h2>{escape(title)}</h2>\n{content}\n" for title, content in sections)
    name = escape(found.config.name)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'><link rel='icon' href='data:,'>"
        f"<title>{name} · blend · foldline</title><style>{report.CSS}</style></head>\n"
        f"<body>\n{_head(found)}\n{body}</body></html>\n"
    )


def _head(found: Findings) -> str:
    facts = [
        (f"{found.result.score:.4f}", f"out-of-fold {found.config.data.metric}, post-processed"),
        (f"{found.score:.4f}", "the blend alone, nested"),
        (f"{found.optimism:+.5f}", "optimism: nested minus in-sample"),
        (str(len(found.worths)), "members"),
    ]
    shown = "".join(f"<div class='fact'><b>{escape(value)}</b>{escape(name)}</div>" for value, name in facts)
    return (
        f"<h1>{escape(found.config.name)}</h1><p class='lead'>foldline blend</p><div class='figures'>{shown}</div>"
        f"<p>{escape(found.verdict[0].upper() + found.verdict[1:])}.</p>"
    )


def _table(table: Table, plain: bool = False) -> str:
    _, columns, rows = table
    return report.table(columns, rows, plain)


def _methods(found: Findings) -> str:
    note = (
        "Every fold by weights that were fitted on the other folds. Behind the best: difference of mean losses and its "
        "standard error over series, paired. Beaten: another one is ahead by more than one standard error of their "
        "difference. The simplest that none beats is chosen."
    )
    picture = pictures.methods(found.compared, found.result.blend.method)
    return f"{picture}{_table(found.methods(), plain=True)}<small>{note}</small>"


def _members(found: Findings) -> str:
    note = (
        "It saves: mean loss of the blend without the member, all else weighed anew, minus that of the blend, and its "
        "standard error over series. Seconds: all cells of the member on this machine, loading left out."
    )
    plain = next(each for each in found.compared.tried if each.method == found.result.blend.method)
    picture = pictures.members(found.worths, study.refitted(plain.nested))
    return f"{picture}{_table(found.members(), plain=True)}<small>{note}</small>"


def _alike(found: Findings) -> str:
    note = "Correlation of errors over scored rows. A blend gains where members err differently."
    picture = pictures.correlation(found.result.rows.labels, found.correlation)
    width = min(1000, 220 + 60 * len(found.worths))  # px: numbers of one size, however many members
    return f"<div style='max-width:{width}px'>{picture}</div><p><small>{note}</small></p>"


def _again(found: Findings) -> str:
    versions = ", ".join(f"{name} {value}" for name, value in experiment.environment().items())
    resolved = escape(tomli_w.dumps(found.config.tables()))
    return (
        f"<pre>{escape(found.command)}</pre><p><small>{escape(versions)}</small></p>"
        f"<details><summary>resolved config</summary><pre>{resolved}</pre></details>"
    )
